"""Exit codes, and how an error looks to the person at the terminal."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from promosvc.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OverloadedError,
    PromosvcError,
    SnapshotError,
    UnavailableError,
)

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

# The first class that fits decides.
EXIT_CODES: tuple[tuple[type[PromosvcError], int], ...] = (
    (InvalidArgumentError, 3),
    (NotFoundError, 4),
    (FailedPreconditionError, 4),
    (AlreadyExistsError, 4),
    (SnapshotError, 5),
    (OverloadedError, 6),
    (UnavailableError, 6),
    (DeadlineExceededError, 6),
    (PromosvcError, 1),
)

EXIT_CODE_HELP = """
\b
Exit codes:
  0  done
  1  a defect or an unforeseen failure
  2  wrong command line
  3  wrong input: a file, mapping, configuration or argument; the message names it
  4  not possible now: something is missing that another command makes
  5  a damaged or foreign snapshot
  6  busy or not answering; trying again may help
"""


def exit_code(error: PromosvcError) -> int:
    """The exit code that an error ends the command with."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def failing_by_name(command: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Print a named error as one line instead of a traceback, and exit with its code."""

    @wraps(command)
    def guarded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        try:
            return command(*args, **kwargs)
        except PromosvcError as error:
            print(f"promosvc: {error}  [{error.reason}]", file=sys.stderr)
            sys.exit(exit_code(error))

    return guarded
