"""The demo's campaign: one template and a few made-up people, from their file to a folder of results."""

import csv
from pathlib import Path

import click

from common.cli import campaign_run
from common.cli.campaign_client import CampaignClient

TEMPLATE = 'a {{ favourite }} on a {{ colour | default: "white" }} background'
BUDGET = "1"
PROOFS = 2
PEOPLE = (
    ("Ada", "rocket", "navy"),
    ("Ben", "guitar", "orange"),
    ("Chloé", "cat face", "pink"),
    ("Dmitri", "penguin", "blue"),
    ("Eve", "red apple", "green"),
    ("Femi", "soccer ball", "teal"),
    ("Grace", "butterfly", "yellow"),
    ("Hana", "sushi", "cream"),
    ("Ivan", "bear", "brown"),
    ("Joy", "sunflower", ""),
    ("Kofi", "lion", "green"),
    ("Lena", "strawberry", "teal"),
    ("Mia", "unicorn", "purple"),
    ("Noor", "hot beverage", "pink"),
    ("Otto", "automobile", "gray"),
    ("Pia", "frog", "orange"),
    ("Quinn", "ghost", "black"),
    ("Rosa", "rose", "cream"),
    ("Sami", "dolphin", "navy"),
    ("Tess", "birthday cake", "blue"),
    ("Uma", "owl", "purple"),
    ("Vito", "pizza", "green"),
    ("Wren", "tulip", "yellow"),
    ("Xu", "rocket", "navy"),
)


def print_campaign(client: CampaignClient, folder: Path) -> bool:
    """Print a picture for each of the people above, save all in *folder*, and tell whether all was printed."""
    folder.mkdir(parents=True)
    recipients = folder / "recipients.csv"
    with recipients.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("recipient_id", "favourite", "colour"), *PEOPLE])
    click.echo(f"A campaign: {TEMPLATE!r} for {len(PEOPLE)} people", err=True)
    wish = {"name": "Demo campaign", "template": {"prompt": TEMPLATE}, "budget": {"amount": BUDGET}}
    made = campaign_run.prepare(client, wish, recipients, folder)
    made = campaign_run.run(client, campaign_run.proof(client, made, PROOFS, folder))
    campaign_run.save_results(client, made["id"], folder)
    return campaign_run.tell_end(made, folder)
