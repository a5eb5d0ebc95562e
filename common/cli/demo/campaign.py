"""The demo campaign: one template and 24 invented recipients."""

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
    """Run the demo campaign, save its results in *folder*, and return whether everything was printed."""
    folder.mkdir(parents=True)
    recipients = folder / "recipients.csv"
    with recipients.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("recipient_id", "favourite", "colour"), *PEOPLE])
    click.echo(f"Campaign: {TEMPLATE!r} for {len(PEOPLE)} recipients", err=True)
    body = {"name": "Demo campaign", "template": {"prompt": TEMPLATE}, "budget": {"amount": BUDGET}}
    made = campaign_run.prepare_campaign(client, body, recipients, folder)
    made = campaign_run.run_campaign(client, campaign_run.run_proofs(client, made, PROOFS, folder))
    campaign_run.save_results(client, made["id"], folder)
    return campaign_run.print_outcome(made, folder)
