"""``pressroom completion``: have a shell complete what is typed."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what has SHELL complete commands and options.

    For bash, put this into ~/.bashrc: eval "$(pressroom completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"Nothing is known of the shell {shell}.")
    click.echo(kind(ctx.find_root().command, {}, "pressroom", "_PRESSROOM_COMPLETE").source())
