"""The command line: verbs, progress and exit codes over the two composition roots."""

from promosvc.cli.main import main

__all__ = ["main"]
