"""``pressroom audit``."""

import click

from common.cli.connection import connect_client_as
from common.cli.output import as_json_option, print_json, print_table, since_option, until_option
from common.cli.owner_client import OwnerClient
from common.states.audit import Act


@click.command()
@click.option("--act", type=click.Choice([act.value for act in Act]), help="Only this act.")
@click.option("--object", "object_id", metavar="ID", help="Only acts on this object.")
@click.option("--key", metavar="ID", help="Only acts of the key with this ID.")
@since_option
@until_option
@click.option("--all", "for_all", is_flag=True, help="List the acts of all owners (for the operator).")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Maximum number of events.")
@as_json_option
def audit(
    act: str | None,
    object_id: str | None,
    key: str | None,
    since: str | None,
    until: str | None,
    for_all: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest events of the audit trail: who did what to which object."""
    wanted = {"act": act, "object": object_id, "key": key, "from": since, "to": until}
    with connect_client_as(OwnerClient) as client:
        found = list(client.audit_events(wanted, limit, for_all=for_all))
    if as_json:
        print_json(found)
        return
    print_table(
        ["time", "owner", "key", "act", "object", "before", "after"],
        [
            [
                event["at"],
                event["owner"],
                event["key_id"],
                event["act"],
                event["object_id"],
                _describe_facts(event["before"]),
                _describe_facts(event["after"]),
            ]
            for event in found
        ],
    )


def _describe_facts(described: dict[str, object] | None) -> str:
    return " ".join(f"{name}={value}" for name, value in (described or {}).items() if value is not None)
