"""What else an owner has, from the outside: images, the floor, accounts, models and webhooks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.client import Client, Json


class OwnerClient(Client):
    """A client that knows of these too; each method raises as those of ``Client`` do."""

    def image(self, image_id: str) -> Json:
        """Return an image."""
        return self._json("GET", f"/v1/images/{image_id}")

    def images(self, wanted: Mapping[str, str | None], limit: int | None = None) -> Iterator[Json]:
        """Yield images, the newest first, *limit* at most; *wanted* are the parameters of the list."""
        return self._pages("/v1/images", wanted, limit)

    def erase(self, image_id: str) -> None:
        """Erase an image for good."""
        self._send("DELETE", f"/v1/images/{image_id}")

    def floor(self) -> Json:
        """Return the press floor as it is now."""
        return self._json("GET", "/v1/floor")

    def usage(self, *, group_by: str | None, since: str | None, until: str | None) -> Json:
        """Return the owner's account."""
        query = _given({"group_by": group_by, "from": since, "to": until})
        return self._json("GET", "/v1/usage", params=query)

    def house(self, *, since: str | None, until: str | None) -> Json:
        """Return the account of the whole house."""
        return self._json("GET", "/v1/usage/house", params=_given({"from": since, "to": until}))

    def models(self) -> list[Json]:
        """Return the models on offer."""
        return list(self._json("GET", "/v1/models")["data"])

    def webhooks(self) -> list[Json]:
        """Return all webhooks, the newest first."""
        return list(self._json("GET", "/v1/webhooks")["data"])

    def create_webhook(self, url: str | None, events: Sequence[str], description: str | None) -> Json:
        """Make a webhook; the answer holds its secret, this once."""
        wish: dict[str, Any] = {"url": url, "events": list(events), "description": description}
        return self._json("POST", "/v1/webhooks", json={name: value for name, value in wish.items() if value})

    def change_webhook(self, webhook_id: str, verb: str) -> Json:
        """Enable, disable or test a webhook; a test answers with its delivery."""
        return self._json("POST", f"/v1/webhooks/{webhook_id}/{verb}")

    def rotate(self, webhook_id: str, overlap_seconds: int | None) -> Json:
        """Give a webhook a new secret, which the answer holds, this once."""
        wish = {} if overlap_seconds is None else {"overlap_s": overlap_seconds}
        return self._json("POST", f"/v1/webhooks/{webhook_id}/rotate", json=wish)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook and its deliveries."""
        self._send("DELETE", f"/v1/webhooks/{webhook_id}")

    def deliveries(self, webhook_id: str, *, state: str | None, limit: int) -> Iterator[Json]:
        """Yield what was sent to a webhook, the newest first."""
        return self._pages(f"/v1/webhooks/{webhook_id}/deliveries", {"state": state}, limit)

    def resend(self, webhook_id: str, delivery_id: str) -> Json:
        """Send a message again."""
        return self._json("POST", f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend")


def _given(query: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}
