"""``pressroom provenance``: a certificate to sign images with."""

import click

from common.cli.output import as_json_option, print_json
from common.errors import SettingsError
from common.images import certificates
from common.images.certificates import Credentials
from common.settings import PREFIX, Settings


@click.group()
def provenance() -> None:
    """Make a certificate that images are signed with."""


@provenance.command()
@click.option("--organisation", default="Pressroom trial", show_default=True, help="Who the certificate says signs.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3650), help="How long it holds.")
@as_json_option
def init(organisation: str, days: int, as_json: bool) -> None:
    """Make a certificate for trying out, of an authority of your own, and have images signed with it.

    Nobody else knows that authority: readers call the signature valid, and its signer unknown. Run it again before the
    certificate ends, and the same authority issues the next one.
    """
    settings = Settings.from_environ()
    folder = certificates.default_folder(settings)
    if Credentials.of(settings) != Credentials(folder / certificates.CHAIN, folder / certificates.KEY):
        raise SettingsError(f"{PREFIX}PROVENANCE_CERTIFICATE names a certificate of yours; it is left as it is.")
    ends = certificates.make_chain(folder, organisation, days=days)
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
    click.echo("Presses and apis on other machines need copies of it; only presses need key.pem.", err=True)
