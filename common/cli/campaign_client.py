"""An HTTP client for campaigns and styles, used by the command line."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from common.cli.client import Client, Json
from common.errors import ApiRefusedError
from common.states.campaigns import CampaignStatus

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".txt": "text/csv",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".json": "application/json",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The media type of a recipients file by its extension."""

POLL_SECONDS = 0.5
LONG_TIMEOUT_SECONDS = 600
"""Timeout for large uploads and downloads."""

RESTING_STATUSES = frozenset(
    {
        CampaignStatus.PAUSED,
        CampaignStatus.HELD,
        CampaignStatus.COMPLETED,
        CampaignStatus.CANCELED,
        CampaignStatus.EXPIRED,
    }
)
"""Statuses in which a started campaign does not progress without an action."""


class CampaignClient(Client):
    """A client that also covers campaigns and styles; raises like ``Client``."""

    def create_style(self, style: Mapping[str, Any]) -> Json:
        """Create a style or its next version."""
        return self._json("POST", "/v1/styles", json=dict(style))

    def style(self, reference: str) -> Json:
        """Return a style: ``name`` for its newest version, or ``name@3``."""
        return self._json("GET", f"/v1/styles/{reference}")

    def styles(self) -> Iterator[Json]:
        """Yield the newest version of each style."""
        return self._pages("/v1/styles")

    def style_versions(self, name: str) -> Iterator[Json]:
        """Yield the versions of a style, newest first."""
        return self._pages(f"/v1/styles/{name}/versions")

    def create_campaign(self, body: Mapping[str, Any]) -> Json:
        """Create a campaign."""
        return self._json("POST", "/v1/campaigns", json=dict(body))

    def campaign(self, campaign_id: str) -> Json:
        """Return a campaign."""
        return self._json("GET", f"/v1/campaigns/{campaign_id}")

    def campaigns(self, *, status: str | None = None) -> Iterator[Json]:
        """Yield campaigns, newest first."""
        return self._pages("/v1/campaigns", {"status": status})

    def upload_recipients(
        self,
        campaign_id: str,
        file: Path,
        *,
        mode: str = "replace",
        id_column: str | None = None,
        charset: str | None = None,
    ) -> Json:
        """Upload a file of recipients; invalid rows are rejected and listed in the receipt."""
        media_type = MEDIA_TYPES.get(file.suffix.lower())
        if media_type is None:
            endings = ", ".join(MEDIA_TYPES)
            raise ApiRefusedError(f"{file.name} is not a supported recipients file. Supported extensions: {endings}.")
        return self._json(
            "PUT",
            f"/v1/campaigns/{campaign_id}/recipients",
            params={"mode": mode, "on_error": "skip", **({"id_column": id_column} if id_column else {})},
            content=file.read_bytes(),
            headers={"Content-Type": f"{media_type}; charset={charset}" if charset else media_type},
            timeout=LONG_TIMEOUT_SECONDS,
        )

    def proof(self, campaign_id: str, k: int) -> Json:
        """Print *k* proofs and return them when all have ended."""
        self._json("POST", f"/v1/campaigns/{campaign_id}/proofs", json={"k": k})
        while True:
            proofs = self._json("GET", f"/v1/campaigns/{campaign_id}/proofs")
            if proofs["status"] != CampaignStatus.PROOFING:
                return proofs
            time.sleep(POLL_SECONDS)

    def approve(self, campaign_id: str, digest: str) -> Json:
        """Approve the version of the campaign that *digest* identifies."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/approve", json={"spec_digest": digest})

    def act(self, campaign_id: str, verb: str, **query: str) -> Json:
        """Start, pause, resume, cancel or retry a campaign."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/{verb}", params=query)

    def change_budget(self, campaign_id: str, amount: str) -> Json:
        """Change the budget of a campaign."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/budget", json={"amount": amount})

    def make_links(self, campaign_id: str) -> Json:
        """Create public links to the images of a campaign."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}/links")

    def follow(self, campaign_id: str, on_change: Callable[[Json], None]) -> Json:
        """Return a campaign when it no longer progresses by itself; call *on_change* on every poll."""
        while True:
            campaign = self.campaign(campaign_id)
            on_change(campaign)
            if campaign["status"] in RESTING_STATUSES:
                return campaign
            time.sleep(POLL_SECONDS)

    def image(self, image_id: str) -> Json:
        """Return an image."""
        return self._json("GET", f"/v1/images/{image_id}")

    def save(self, path: str, file: Path, **query: str | int) -> bool:
        """Save the response of *path* to *file*; return whether there is a next page."""
        with self._http.stream("GET", path, params=query, timeout=LONG_TIMEOUT_SECONDS) as response:
            if response.is_error:
                response.read()
                raise ApiRefusedError(f"{path} returned status {response.status_code}.")
            with file.open("wb") as written:
                for piece in response.iter_bytes():
                    written.write(piece)
            return "next" in response.links
