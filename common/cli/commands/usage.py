"""``pressroom usage``."""

import csv
import sys

import click

from common.cli.client import Json
from common.cli.connection import connect_client_as
from common.cli.output import as_json_option, print_json, print_table, since_option, until_option
from common.cli.owner_client import OwnerClient
from common.usage.owner_usage import GroupBy

FIELDS = ("jobs", "attempts", "images", "gpu_seconds", "delivered_gpu_seconds", "running_gpu_seconds")
PRESS_FIELDS = (
    *("host", "accelerator", "up_seconds", "busy_gpu_seconds", "idle_seconds", "utilisation", "delivered_share"),
    *("images", "up_amount", "currency"),
)


@click.command()
@click.option("--by", "group_by", type=click.Choice([str(by) for by in GroupBy]), help="Group usage by this field.")
@since_option
@until_option
@click.option("--all", "for_all", is_flag=True, help="Report on all presses (for the operator).")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@as_json_option
def usage(
    group_by: str | None, since: str | None, until: str | None, for_all: bool, as_csv: bool, as_json: bool
) -> None:
    """Report accelerator time and costs, by default for the last 30 days."""
    if for_all and group_by:
        raise click.UsageError("--all cannot be combined with --by; it is always grouped by press.")
    with connect_client_as(OwnerClient) as client:
        if for_all:
            report = client.operator_report(since=since, until=until)
        else:
            report = client.usage(group_by=group_by, since=since, until=until)
    if as_json:
        print_json(report)
        return
    titles, rows = _tabulate_operator_report(report) if for_all else _tabulate_usage(report, as_csv=as_csv)
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([titles, *rows])
        return
    print_table([title.replace("_", " ") for title in titles], rows)


def _tabulate_usage(report: Json, *, as_csv: bool) -> tuple[list[str], list[list[object]]]:
    """Return a line per group and a total; as CSV one per currency, which then has a column of its own."""
    titles = [report["group_by"] or "group", *FIELDS, "waste_gpu_seconds", "charged", *(["currency"] * as_csv)]
    lines = [(each["group"], each) for each in report["data"]] + [("total", report["total"])]
    rows = list[list[object]]()
    for name, line in lines:
        row = [name, *(_round_number(line[field]) for field in FIELDS), _compute_waste(line)]
        if as_csv:
            first, *others = _list_charges(line)
            rows += [[*row, *first], *([name, *[""] * (len(row) - 1), *charged] for charged in others)]
        else:
            rows.append([*row, _format_money(line)])
    return titles, rows


def _tabulate_operator_report(report: Json) -> tuple[list[str], list[list[object]]]:
    return list(PRESS_FIELDS), [[_round_number(each[field]) for field in PRESS_FIELDS] for each in report["data"]]


def _compute_waste(line: Json) -> float:
    wasted: dict[str, float] = line["waste_gpu_seconds"]
    return round(sum(wasted.values()), 3)


def _list_charges(line: Json) -> list[tuple[str, str]]:
    return [(each["amount"], each["currency"]) for each in line["charged"]] or [("0", "")]


def _format_money(line: Json) -> str:
    return " + ".join(f"{each['amount']} {each['currency']}" for each in line["charged"])


def _round_number(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value
