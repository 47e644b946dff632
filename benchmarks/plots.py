"""The plots of the docs, as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.methods import INSTALL, importable
from benchmarks.report import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OURS, THEIRS = "#0072b2", "#b0b0b0"


def bars(path: Path, panels: Mapping[str, Sequence[tuple[str, float]]], axis: str) -> None:
    """Draw one panel of horizontal bars for each title, ours in colour, and write it.

    Without matplotlib nothing is drawn, and it is said how to get it.
    """
    pyplot = _pyplot()
    if pyplot is None or not any(panels.values()):
        return
    tallest = max(len(found) for found in panels.values())
    size = (max(7.0, 5.2 * len(panels)), 0.32 * tallest + 1.3)
    figure, axes = pyplot.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for panel, (title, found) in zip(axes[0], panels.items(), strict=True):
        names, values = [name for name, _ in found], [value for _, value in found]
        drawn = panel.barh(names, values, color=[OURS if name.startswith("aicluster") else THEIRS for name in names])
        panel.bar_label(drawn, labels=[f"{value:.3g}" for value in values], padding=2, fontsize=8)
        panel.invert_yaxis()
        panel.margins(x=0.15)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(axis, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    _write(figure, path)


def lines(path: Path, panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]], axis: str) -> None:
    """Draw one double logarithmic panel for each title, a line of (rows, value) for each name, and write it."""
    pyplot = _pyplot()
    if pyplot is None or not any(panels.values()):
        return
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(5.6 * len(panels), 4.2), squeeze=False, layout="constrained"
    )
    for panel, (title, named) in zip(axes[0], panels.items(), strict=True):
        for name, points in named.items():
            ours = name.startswith("aicluster")
            panel.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=2.5 if ours else 1.2)
        panel.set(xscale="log", yscale="log", title=title, xlabel="rows", ylabel=axis)
        panel.legend(fontsize=7)
        panel.grid(alpha=0.3)
    _write(figure, path)


def _pyplot() -> Any:
    if not importable("matplotlib"):
        say(f"no plot: matplotlib is not installed; {INSTALL}")
        return None
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"  # the same figures give the same file
    from matplotlib import pyplot

    return pyplot


def _write(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    say(f"plot: {path}")
