from __future__ import annotations

import pytest
import sklearn.cluster  # noqa: F401  (loads the thread pools that are to be limited)
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small fits are many times slower on several threads as soon as other processes want the cores too."""
    with threadpool_limits(1):
        yield
