"""The group of all verbs.

Each verb lives in a file of its own and is imported when it is called, so that `promosvc --help` and
a quick import do not pay for what they do not use.
"""

from importlib import import_module

import click

from promosvc.cli.failing import EXIT_CODE_HELP

# Verb: (module, attribute, one line of help). The line stands here so that `--help` imports nothing.
VERBS = {
    "demo": ("demo", "demo", "Run the whole chain on a shopping year, serve it, print answers."),
    "import": ("importing", "import_", "Clean event, item and user files into the event database."),
    "features": ("features", "features", "Compute feature views as of a time."),
    "build": ("building", "build", "Learn from the event database and publish a snapshot."),
    "refresh": ("refreshing", "refresh", "Bring recorded events into a fresh snapshot."),
    "evaluate": ("evaluating", "evaluate", "Measure the served engine on the newest part of the data."),
    "snapshot": ("snapshots", "snapshot", "List, verify, publish, roll back or remove snapshots."),
    "serve": ("serving", "serve", "Answer over gRPC from the published snapshot."),
    "record": ("recording", "record", "Tell a running server what a user did."),
    "upsert": ("recording", "upsert", "Tell a running server about an item: price, stock, availability."),
    "recommend": ("asking", "recommend", "Ask a running server for recommendations."),
    "status": ("asking", "status", "Ask a running server what it runs on."),
    "replay": ("replaying", "replay", "Make recorded decisions again and compare them byte for byte."),
    "config": ("configuration", "config", "Print the commented configuration with the defaults."),
}


class Verbs(click.Group):
    """A group that imports a verb when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """All verbs in the order of the way of the data."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (same)
        """The verb, imported now; nothing if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        command = getattr(import_module(f"promosvc.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (same)
        """The list of verbs, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, _, line) in VERBS.items()])


@click.group(cls=Verbs, epilog=EXIT_CODE_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="promosvc")
def main() -> None:
    """Decide which items to show: import behaviour events, learn from them, and serve answers.

    \b
    The usual order:
      promosvc import --events orders.csv --mapping shop.toml
      promosvc build
      promosvc serve
    Everything is kept below one folder (--data, by default ./data).
    """
