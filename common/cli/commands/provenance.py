"""``pressroom provenance``: create a certificate for signing images."""

import click

from common.cli.output import as_json_option, print_json
from common.errors import SettingsError
from common.images import certificates
from common.images.certificates import Credentials
from common.settings import PREFIX, Settings
from common.settings.private_files import protect_data_directory


@click.group()
def provenance() -> None:
    """Create a certificate for signing images."""


@provenance.command()
@click.option("--organisation", default="Pressroom trial", show_default=True, help="Name in the certificate.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3650), help="Validity in days.")
@as_json_option
def init(organisation: str, days: int, as_json: bool) -> None:
    """Create a test certificate with its own authority, and sign images with it.

    Other software does not trust this authority: it reports the signature as valid and the signer as unknown. Run the
    command again before the certificate expires to renew it from the same authority.
    """
    settings = Settings.from_environ()
    protect_data_directory(settings.home)
    folder = certificates.resolve_default_folder(settings)
    if Credentials.of(settings) != Credentials(folder / certificates.CHAIN, folder / certificates.KEY):
        raise SettingsError(
            f"{PREFIX}PROVENANCE_CERTIFICATE is set to another certificate. Unset it to create a test certificate."
        )
    ends = certificates.create_chain(folder, organisation, days=days)
    if as_json:
        print_json(
            {
                "certificate": str(folder / certificates.CHAIN),
                "key": str(folder / certificates.KEY),
                "ends": f"{ends:%Y-%m-%d}",
            }
        )
        return
    click.echo(f"{folder / certificates.CHAIN} signs as {organisation} until {ends:%Y-%m-%d}.")
    click.echo("Copy it to presses and APIs on other machines; only presses need key.pem.", err=True)
