"""Public links for e-mails: unguessable, valid until revoked, and not stored in a table.

A token names a recipient and an index and proves itself by an HMAC under a key of its campaign's own, which follows
from the service's secret and from how often links were made: what was revoked can never be valid again.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from common.storage.links import decode_base64url, encode_base64url
from common.tables import Campaign

PATH = "/p/"
PURPOSE = b"pressroom.public_links"
ID_BYTES, INDEX_BYTES, PROOF_BYTES = 16, 2, 16
TOKEN_BYTES = ID_BYTES + INDEX_BYTES + PROOF_BYTES


@dataclass(frozen=True)
class LinkToken:
    """What a link says: for whom, which of their pictures, and the proof that we have said so."""

    recipient_pk: UUID
    index: int
    proof: bytes

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse a token; None if it is malformed. ``PublicLinks.holds`` checks whether it is genuine."""
        data = decode_base64url(text)
        if data is None or len(data) != TOKEN_BYTES:
            return None
        end = ID_BYTES + INDEX_BYTES
        return cls(UUID(bytes=data[:ID_BYTES]), int.from_bytes(data[ID_BYTES:end]), data[end:])


class PublicLinks:
    """Creates the public links of campaigns and verifies them."""

    def __init__(self, secret: bytes, base_url: str) -> None:
        self._secret = secret
        self._base_url = base_url.rstrip("/")

    def url(self, campaign: Campaign, recipient_pk: UUID, index: int) -> str:
        """Return the link to one picture of one recipient."""
        said = recipient_pk.bytes + index.to_bytes(INDEX_BYTES)
        return f"{self._base_url}{PATH}{encode_base64url(said + self._prove(campaign, said))}"

    def holds(self, campaign: Campaign, token: LinkToken) -> bool:
        """Return whether *token* was made for *campaign* and not revoked since."""
        said = token.recipient_pk.bytes + token.index.to_bytes(INDEX_BYTES)
        return campaign.has_links and hmac.compare_digest(token.proof, self._prove(campaign, said))

    def _prove(self, campaign: Campaign, said: bytes) -> bytes:
        version = campaign.link_version.to_bytes(4)
        key = hmac.digest(self._secret, PURPOSE + campaign.id.bytes + version, hashlib.sha256)
        return hmac.digest(key, said, hashlib.sha256)[:PROOF_BYTES]


def create_links(campaign: Campaign) -> None:
    """Have links of *campaign*, which is locked, lead to its pictures; those that already do go on."""
    if not campaign.has_links:
        campaign.link_version += 1
        campaign.has_links = True


def revoke_links(campaign: Campaign) -> None:
    """Have no link of *campaign*, which is locked, lead anywhere any more."""
    campaign.has_links = False
