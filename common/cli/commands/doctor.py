"""``pressroom doctor``."""

import json
import os
import sys
from dataclasses import asdict

import click

from common.cli import diagnostics
from common.cli.diagnostics import Finding, Grade, Role
from common.settings import Settings
from common.settings.private_files import protect_data_directory

MARKS = {Grade.SOUND: ("✓", "green"), Grade.WARNING: ("!", "yellow"), Grade.FAULT: ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ALL.value,
    show_default=True,
    help="Check what this process needs; a machine or an image for the API alone has no packages of a press.",
)
def doctor(as_json: bool, role: str) -> None:
    """Check the installation: database, broker, storage, retention, models, safety check, links, API.

    Run `pressroom migrate` first: a database without tables is a fault. The exit status is 1 if a check fails.
    """
    settings = Settings.from_environ()
    protect_data_directory(settings.home)
    findings = []
    for finding in diagnostics.run_diagnostics(settings, os.environ, Role(role)):
        findings.append(finding)
        if not as_json:
            _print_finding(finding)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.grade is Grade.FAULT for finding in findings):
        sys.exit(1)


def _print_finding(finding: Finding) -> None:
    mark, colour = MARKS[finding.grade]
    click.echo(f"{click.style(mark, fg=colour)} {finding.name}: {finding.sentence}")
    if finding.remedy is not None:
        click.echo(f"  {finding.remedy}")
