"""The client of the API for everything but jobs: images, usage, the audit trail, models and webhooks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.cli.client import Client, Json


class OwnerClient(Client):
    """A client that also covers images, usage, the audit trail, models and webhooks; raises like ``Client``."""

    def image(self, image_id: str) -> Json:
        """Return an image."""
        return self._json("GET", f"/v1/images/{image_id}")

    def images(self, wanted: Mapping[str, str | None], limit: int | None = None) -> Iterator[Json]:
        """Yield images, newest first, at most *limit*; *wanted* holds the query parameters."""
        return self._pages("/v1/images", wanted, limit)

    def erase(self, image_id: str) -> None:
        """Permanently erase an image."""
        self._send("DELETE", f"/v1/images/{image_id}")

    def overview(self) -> Json:
        """Return the current overview of presses and queue."""
        return self._json("GET", "/v1/overview")

    def usage(self, *, group_by: str | None, since: str | None, until: str | None) -> Json:
        """Return the owner's usage."""
        query = _drop_missing({"group_by": group_by, "from": since, "to": until})
        return self._json("GET", "/v1/usage", params=query)

    def operator_report(self, *, since: str | None, until: str | None) -> Json:
        """Return the operator's usage report."""
        return self._json("GET", "/v1/usage/operator", params=_drop_missing({"from": since, "to": until}))

    def audit_events(self, wanted: Mapping[str, str | None], limit: int, *, for_all: bool) -> Iterator[Json]:
        """Yield audit events, newest first, at most *limit*; *wanted* holds the query parameters."""
        return self._pages("/v1/audit/operator" if for_all else "/v1/audit", wanted, limit)

    def models(self) -> list[Json]:
        """Return the available models."""
        return list(self._json("GET", "/v1/models")["data"])

    def webhooks(self) -> list[Json]:
        """Return all webhooks, newest first."""
        return list(self._json("GET", "/v1/webhooks")["data"])

    def create_webhook(self, url: str | None, events: Sequence[str], description: str | None) -> Json:
        """Create a webhook; the response has its secret, which is not shown again."""
        body: dict[str, Any] = {"url": url, "events": list(events), "description": description}
        return self._json("POST", "/v1/webhooks", json={name: value for name, value in body.items() if value})

    def change_webhook(self, webhook_id: str, verb: str) -> Json:
        """Enable, disable or test a webhook; a test returns its delivery."""
        return self._json("POST", f"/v1/webhooks/{webhook_id}/{verb}")

    def rotate(self, webhook_id: str, overlap_seconds: int | None) -> Json:
        """Rotate the secret of a webhook; the response has the new one."""
        body = {} if overlap_seconds is None else {"overlap_s": overlap_seconds}
        return self._json("POST", f"/v1/webhooks/{webhook_id}/rotate", json=body)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook and its deliveries."""
        self._send("DELETE", f"/v1/webhooks/{webhook_id}")

    def deliveries(self, webhook_id: str, *, state: str | None, limit: int) -> Iterator[Json]:
        """Yield the deliveries of a webhook, newest first."""
        return self._pages(f"/v1/webhooks/{webhook_id}/deliveries", {"state": state}, limit)

    def resend(self, webhook_id: str, delivery_id: str) -> Json:
        """Send a message again."""
        return self._json("POST", f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend")


def _drop_missing(query: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}
