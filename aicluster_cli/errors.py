"""The family of errors that reach a person: each carries a message, a cure and the exit code of the process.

The exit codes are the contract with scripts: 0 done, 1 failed, 2 usage or profile, 3 connection or authentication,
4 the remote job failed, 5 bad input rows, 8 still running, 130 interrupted.
"""

from __future__ import annotations

from typing import ClassVar


class AiclusterError(Exception):
    """Something went wrong that the person at the terminal can read about and cure.

    Parameters
    ----------
    message
        What happened, in one sentence, naming the file, column, key or object concerned.
    hint
        The cure: best of all, the exact next command.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AiclusterError):
    """A flag, argument or parameter that cannot be right."""

    exit_code = 2
    code = "usage"


class ProfileError(UsageError):
    """A profile that is missing, malformed or holds unknown keys."""

    code = "profile"


class InputError(UsageError):
    """An input that cannot be read at all: missing file, absent column, broken Parquet."""

    code = "input"


class OutputError(AiclusterError):
    """An output that cannot be written, or must not be overwritten."""

    code = "output"


class RunError(AiclusterError):
    """A run that cannot be found, or whose files are incomplete or broken."""

    code = "run"


class ModelError(AiclusterError):
    """A registered model that is missing, broken or of another Python."""

    code = "model"


class JobFailedError(AiclusterError):
    """The process or remote job that clusters has failed."""

    exit_code = 4
    code = "job_failed"


class BadRowsError(AiclusterError):
    """More rows than allowed could not be clustered; the output is written all the same."""

    exit_code = 5
    code = "bad_rows"


class StillRunningError(AiclusterError):
    """The run goes on without us."""

    exit_code = 8
    code = "still_running"


class InterruptedRunError(AiclusterError):
    """Ctrl-C or a termination signal before anything was submitted."""

    exit_code = 130
    code = "interrupted"
