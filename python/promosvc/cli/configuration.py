"""`promosvc config`."""

import click


@click.command()
def config() -> None:
    """Print the commented configuration file whose values are the defaults.

    \b
    Start your own file with:
      promosvc config > promosvc.toml
    Keep only what you change, and pass it with --config.
    """
    from promosvc.config.load import defaults_text

    click.echo(defaults_text(), nl=False)
