"""Campaigns and styles from the outside: what the command line asks of the api about them."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from common.cli.client import Client, Json
from common.errors import ApiRefusedError
from common.tables.campaign_states import CampaignStatus

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".txt": "text/csv",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".json": "application/json",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""What a file of recipients is, by the end of its name."""

LOOK_SECONDS = 0.5
LONG_SECONDS = 600
"""For answers that take as long as their file: an upload of many rows, a page of pictures."""

AT_REST = frozenset(
    {
        CampaignStatus.PAUSED,
        CampaignStatus.HELD,
        CampaignStatus.COMPLETED,
        CampaignStatus.CANCELED,
        CampaignStatus.EXPIRED,
    }
)
"""Where a campaign that has been started does not go on by itself."""


class CampaignClient(Client):
    """A client that knows of campaigns and styles too; each method raises as those of ``Client`` do."""

    def create_style(self, style: Mapping[str, Any]) -> Json:
        """Keep a style, or its next version."""
        return self._json("POST", "/v1/styles", json=dict(style))

    def style(self, reference: str) -> Json:
        """Return a style: ``name`` for its newest version, or ``name@3``."""
        return self._json("GET", f"/v1/styles/{reference}")

    def styles(self) -> Iterator[Json]:
        """Yield the newest version of each style."""
        return self._pages("/v1/styles")

    def style_versions(self, name: str) -> Iterator[Json]:
        """Yield the versions of a style, the newest first."""
        return self._pages(f"/v1/styles/{name}/versions")

    def create_campaign(self, wish: Mapping[str, Any]) -> Json:
        """Make a campaign."""
        return self._json("POST", "/v1/campaigns", json=dict(wish))

    def campaign(self, campaign_id: str) -> Json:
        """Return a campaign."""
        return self._json("GET", f"/v1/campaigns/{campaign_id}")

    def campaigns(self, *, status: str | None = None) -> Iterator[Json]:
        """Yield campaigns, the newest first."""
        return self._pages("/v1/campaigns", {"status": status})

    def hand_in_recipients(self, campaign_id: str, file: Path, *, mode: str = "replace") -> Json:
        """Hand in a file of recipients; rows that cannot be printed are left out, and the receipt names them."""
        media_type = MEDIA_TYPES.get(file.suffix.lower())
        if media_type is None:
            endings = ", ".join(MEDIA_TYPES)
            raise ApiRefusedError(f"{file.name} is no file of recipients: its name must end in one of {endings}.")
        return self._json(
            "PUT",
            f"/v1/campaigns/{campaign_id}/recipients",
            params={"mode": mode, "on_error": "skip"},
            content=file.read_bytes(),
            headers={"Content-Type": media_type},
            timeout=LONG_SECONDS,
        )

    def proof(self, campaign_id: str, k: int) -> Json:
        """Have *k* sample rows printed; return them as they are when all have come to an end."""
        self._json("POST", f"/v1/campaigns/{campaign_id}/proofs", json={"k": k})
        while True:
            proofs = self._json("GET", f"/v1/campaigns/{campaign_id}/proofs")
            if proofs["status"] != CampaignStatus.PROOFING:
                return proofs
            time.sleep(LOOK_SECONDS)

    def approve(self, campaign_id: str, digest: str) -> Json:
        """Approve what *digest* names."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/approve", json={"spec_digest": digest})

    def act(self, campaign_id: str, verb: str, **query: str) -> Json:
        """Start, pause, resume, cancel or retry a campaign."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/{verb}", params=query)

    def change_budget(self, campaign_id: str, amount: str) -> Json:
        """Change the most that a campaign may cost."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/budget", json={"amount": amount})

    def make_links(self, campaign_id: str) -> Json:
        """Make public links to the pictures of a campaign."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/links")

    def follow(self, campaign_id: str, on_change: Callable[[Json], None]) -> Json:
        """Return a campaign when it does not go on by itself any more; *on_change* sees it now and then."""
        while True:
            campaign = self.campaign(campaign_id)
            on_change(campaign)
            if campaign["status"] in AT_REST:
                return campaign
            time.sleep(LOOK_SECONDS)

    def image(self, image_id: str) -> Json:
        """Return an image."""
        return self._json("GET", f"/v1/images/{image_id}")

    def save(self, path: str, file: Path, **query: str | int) -> bool:
        """Save what *path* answers, piece by piece; tell whether there is a next part."""
        with self._http.stream("GET", path, params=query, timeout=LONG_SECONDS) as response:
            if response.is_error:
                response.read()
                raise ApiRefusedError(f"{path} answered {response.status_code}.")
            with file.open("wb") as written:
                for piece in response.iter_bytes():
                    written.write(piece)
            return "next" in response.links
