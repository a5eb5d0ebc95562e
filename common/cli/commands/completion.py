"""``pressroom completion``: print a shell completion script."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    For bash, add this to ~/.bashrc: eval "$(pressroom completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"Unsupported shell {shell}.")
    click.echo(kind(ctx.find_root().command, {}, "pressroom", "_PRESSROOM_COMPLETE").source())
