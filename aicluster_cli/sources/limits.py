"""How large one batch of rows may be. Light."""

from __future__ import annotations

MAX_BATCH_ROWS = 8192
MAX_BATCH_BYTES = 64 << 20
