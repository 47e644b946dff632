"""Work on fixed blocks of rows by as many threads as there are processors.

What a block's result is depends on the block alone, never on the threads: the blocks' size is fixed, and BLAS, whose
sums depend on how it shares the work out, runs on one thread inside each. So results are the same for any number of
threads.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 16  # beyond this memory, not arithmetic, is the limit


def default_threads() -> int:
    """Return how many threads to use: the processors this process may run on, at most ``MOST_THREADS``.

    ``OMP_NUM_THREADS`` limits it further, as it does for every numeric package.
    """
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        available = os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdigit() and int(asked) > 0:
        available = min(available, int(asked))
    return max(1, min(available, MOST_THREADS))


def blocks(rows: int, size: int) -> list[slice]:
    """Return the slices of at most ``size`` rows that cover ``rows``."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def run(function: Callable[[Item], Result], items: Iterable[Item], threads: int = 0) -> list[Result]:
    """Return ``function`` of every item in the items' order; 0 threads stands for ``default_threads()``."""
    work = list(items)
    threads = min(threads or default_threads(), len(work))
    if threads <= 1:
        return [function(item) for item in work]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, work))


@contextmanager
def single_blas() -> Iterator[None]:
    """Keep BLAS on one thread while in here, so that a block's sums never depend on the number of threads."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # then BLAS's own number of threads decides, and results may differ in their last bits
        yield
        return
    with threadpool_limits(1, user_api="blas"):
        yield
