"""``python -m benchmarks quality|speed|parse|memory``: figures as JSON, a Markdown table on stdout, a plot in docs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import memory, parse, quality, report, speed
from benchmarks.process import ROOT
from benchmarks.sets import NoSetError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {"quality": quality, "speed": speed, "parse": parse, "memory": memory}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = _parser().parse_args(arguments)
    command = COMMANDS[given.command]
    machine = report.machine(given.threads)
    try:
        found = command.measure(given)
    except NoSetError as error:
        report.say(f"error: {error}")
        return 2
    found = {"benchmark": given.command, "machine": machine, **found}
    report.write(given.out or ROOT / "build" / "benchmarks" / f"{given.command}.json", found)
    command.plot(found, given.plot or ROOT / "docs" / f"benchmark_{given.command}.svg")
    print(command.show(found), report.footer(found), sep="\n\n")
    failed = [row for row in found["results"] if row["status"].startswith(("failed", "stopped"))]
    return 1 if failed or not found["results"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name, help=(module.__doc__ or "").partition(": ")[2], formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        command.add_argument("--out", type=Path, help="JSON file; build/benchmarks/<command>.json if not given")
        command.add_argument("--plot", type=Path, help="SVG file; docs/benchmark_<command>.svg if not given")
        command.add_argument("--only", default="", metavar="TEXT", help="only what has TEXT in its name")
        command.add_argument("--rounds", type=int, help="processes for each measurement; medians are shown")
        command.add_argument("--threads", type=int, default=2, help="threads, and processors, each process may use")
        command.add_argument("--seed", type=int, default=42, help="of the first round")
        command.add_argument(
            "--patience", type=float, default=120, help="repeat a call that took up to so many seconds"
        )
        command.add_argument("--timeout", type=float, default=1800, help="seconds until a process is stopped")
        module.add_arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
