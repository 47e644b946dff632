"""Progress of long work: what a stage is, and the bars a terminal shows while stages last."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress


class Stage:
    """One piece of work under way, such as embedding texts. Its methods may be called from any thread."""

    def __init__(
        self, name: str, total: int | None, *, started: float, changed: Callable[[Stage], None] | None = None
    ) -> None:
        self.name = name
        self.total = total
        self.completed = 0
        self.started = started
        self.line = name
        self._changed = changed
        self._lock = threading.Lock()

    def update(self, n: int = 1, *, total: int | None = None) -> None:
        """Report ``n`` more units done, and the ``total`` when it becomes known only now."""
        with self._lock:
            self.completed += n
            self.total = self.total if total is None else total
        self._tell()

    def describe(self, text: str) -> None:
        """Change what the bar says is being done (``waiting: the pool is starting``)."""
        self.name = text
        self._tell()

    def done(self, text: str) -> None:
        """Set the line left behind at the end, without the time: ``embedded 13,083 texts``. Empty leaves none."""
        self.line = text

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed(self)


class Bars:
    """The bars of all stages under way on one terminal, each shown only once its work has lasted ``after`` seconds."""

    def __init__(self, stream: TextIO, *, width: int, color: bool, after: float, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._width = width
        self._color = color
        self._after = after
        self._clock = clock
        self._lock = threading.RLock()
        self._timers: dict[Stage, threading.Timer] = {}
        self._tasks: dict[Stage, Any] = {}
        self._progress: Progress | None = None
        self._paused = False

    def add(self, stage: Stage) -> None:
        """Follow ``stage`` until it is removed."""
        timer = threading.Timer(self._after, self._show, [stage])
        timer.daemon = True
        with self._lock:
            self._timers[stage] = timer
        timer.start()

    def remove(self, stage: Stage) -> None:
        """Take the bar of ``stage`` off the terminal, if it ever got there."""
        with self._lock:
            self._timers.pop(stage).cancel()
            task = self._tasks.pop(stage, None)
            if self._progress is None or task is None:
                return
            self._progress.remove_task(task)
            if not self._tasks:
                self._progress.stop()
                self._progress = None

    def refresh(self, stage: Stage) -> None:
        """Draw what has changed in ``stage``."""
        with self._lock:
            if self._progress is not None and stage in self._tasks:
                self._progress.update(self._tasks[stage], **_shown(stage))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Clear the bars while something else is written to the terminal."""
        with self._lock:
            if self._progress is None or self._paused:
                yield
                return
            self._paused = True
            self._progress.stop()
            try:
                yield
            finally:
                self._progress.start()
                self._paused = False

    def _show(self, stage: Stage) -> None:
        with self._lock:
            if stage not in self._timers:  # it ended while the timer fired
                return
            if self._progress is None:
                self._progress = self._start()
            task = self._progress.add_task(**_shown(stage))
            self._tasks[stage] = task
            # The bar appears late; its clock must still tell how long the work has lasted.
            spent = self._clock() - stage.started
            for shown in self._progress.tasks:
                if shown.id == task:
                    shown.start_time = self._progress.get_time() - spent

    def _start(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(
            file=self._stream,
            width=self._width,
            force_terminal=True,
            no_color=not self._color,
            color_system="standard" if self._color else None,
            legacy_windows=False,
        )
        unicode = (getattr(self._stream, "encoding", None) or "").lower().startswith("utf")
        progress = Progress(
            SpinnerColumn("dots" if unicode else "line"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        progress.start()
        return progress


def elapsed(seconds: float) -> str:
    """Return a length of time for people: ``1.2 s``, ``2 min 5 s``, ``3 h 20 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _shown(stage: Stage) -> dict[str, Any]:
    from aicluster_cli.cli.render import one_line

    counts = f"{stage.completed:,}/{stage.total:,}" if stage.total is not None else ""
    return {
        "description": one_line(stage.name),
        "total": stage.total,
        "completed": stage.completed,
        "counts": counts,
    }
