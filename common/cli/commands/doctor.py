"""``pressroom doctor``."""

import json
import os
import sys
from dataclasses import asdict

import click

from common.cli import diagnostics
from common.cli.diagnostics import Finding, Grade
from common.settings import Settings

MARKS = {Grade.SOUND: ("✓", "green"), Grade.WARNING: ("!", "yellow"), Grade.FAULT: ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check that everything Pressroom needs is there: database, broker, storage, models, safety check, api.

    The exit status is 1 if anything is at fault.
    """
    findings = []
    for finding in diagnostics.examine(Settings.from_environ(), os.environ):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.grade is Grade.FAULT for finding in findings):
        sys.exit(1)


def _print(finding: Finding) -> None:
    mark, colour = MARKS[finding.grade]
    click.echo(f"{click.style(mark, fg=colour)} {finding.name}: {finding.sentence}")
    if finding.remedy is not None:
        click.echo(f"  {finding.remedy}")
