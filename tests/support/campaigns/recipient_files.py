"""Campaigns and files of recipients as an engineer sends them."""

from typing import Any

from werkzeug.test import TestResponse

from tests.support.apis import Api

CSV = "name,pet\nAda,fox\nBob,owl\n"


def make_campaign(api: Api, **fields: Any) -> dict[str, Any]:
    """Make a campaign and return it."""
    usual = {"name": "cards", "template": {"prompt": "a card for {{ name }}"}, "budget": {"amount": "10"}}
    answer = api.post("/v1/campaigns", json=usual | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def put(
    api: Api, campaign: dict[str, Any], data: str | bytes, query: str = "", *, kind: str = "text/csv", **options: Any
) -> TestResponse:
    """Hand in a file of recipients."""
    return api.call("PUT", f"/v1/campaigns/{campaign['id']}/recipients{query}", data=data, content_type=kind, **options)
