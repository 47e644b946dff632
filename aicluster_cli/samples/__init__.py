"""Sample data that ships with the package: short messages from customers of a shop that does not exist.

``support_messages.csv`` was written for this project and is under the project's licence, MIT. No text was
taken from elsewhere; no company, person or contact detail in it is real. Its columns are ``id``, ``topic`` and
``text``: twelve topics of slightly uneven size, and a few messages of topic ``none`` that belong to no topic.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["messages_path"]


def messages_path() -> Path:
    """Return the path of the sample messages.

    Returns
    -------
    Path
        A UTF-8 CSV file with a header and the columns ``id``, ``topic`` and ``text``.
    """
    return Path(__file__).with_name("support_messages.csv")
