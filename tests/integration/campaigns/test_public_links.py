"""Links for e-mails: public, unguessable, made before the picture is, revoked at once, and never in a cache."""

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from api.app import create_app
from common.campaigns import lifecycle
from common.campaigns.results.public_links import LinkToken, PublicLinks
from common.campaigns.spec import OnBlock
from common.db.ids import create_id
from common.jobs.attempts import Claim
from common.tables import Campaign, Job
from tests.integration.campaigns.test_api_results import lines, start, store, upload_asset
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import CampaignFixture, spec


@pytest.fixture
def api(campaign_fixture: CampaignFixture, tmp_path: Path) -> Api:
    return open_api(campaign_fixture.database, tmp_path / "api")


def links(api: Api, campaign_id: UUID) -> list[str | None]:
    """Return the paths of the links in the results."""
    return [line["link"] and urlsplit(line["link"]).path for line in lines(api, campaign_id)]


def campaign_of(campaign_fixture: CampaignFixture, held: Claim) -> UUID | None:
    with campaign_fixture.database.reading() as session:
        return session.get_one(Job, held.job_id).campaign_id


def change(api: Api, campaign_id: UUID, method: str = "POST") -> dict[str, object]:
    answer = api.call(method, f"/v1/campaigns/{campaign_id}/links")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_link_serves_the_image_without_a_key(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann", "bob", "ann"])
    campaign_fixture.print_all()
    store(api)
    assert links(api, campaign_id) == [None] * 3
    change(api, campaign_id)
    found = links(api, campaign_id)
    answers = [api.get(str(path), key=None) for path in found]
    assert [(answer.status_code, answer.content_type) for answer in answers] == [(200, "image/png")] * 3
    assert len(set(found)) == 3, "each recipient has a link of their own"
    assert answers[0].data == answers[2].data, "to a picture that may be the same"
    headers = answers[0].headers
    assert headers["Content-Disposition"] == "inline"
    assert headers["X-Robots-Tag"] == "noindex, nofollow"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "private, no-cache"
    again = api.get(str(found[0]), key=None, headers={"If-None-Match": headers["ETag"]})
    assert again.status_code == 304


def test_a_link_may_be_created_before_its_image(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = campaign_fixture.campaign(["ann"])
    change(api, campaign_id)
    (path,) = links(api, campaign_id)
    assert api.get(str(path), key=None).json["code"] == "image_not_readable"
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.print_all()
    store(api)
    assert links(api, campaign_id) == [path]
    assert api.get(str(path), key=None).status_code == 200


def test_revoked_links_stay_invalid(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann"])
    campaign_fixture.print_all()
    store(api)
    assert change(api, campaign_id) == change(api, campaign_id), "made twice, they are the same"
    (old,) = links(api, campaign_id)
    assert change(api, campaign_id, "DELETE")["active"] is False
    assert links(api, campaign_id) == [None]
    assert api.get(str(old), key=None).json["code"] == "not_found"
    assert change(api, campaign_id)["version"] == 2
    (new,) = links(api, campaign_id)
    assert api.get(str(old), key=None).json["code"] == "not_found"
    assert api.get(str(new), key=None).status_code == 200


def test_with_presigned_links_each_request_gets_a_new_signature(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann"])
    campaign_fixture.print_all()
    store(api)
    change(api, campaign_id)
    (path,) = links(api, campaign_id)
    services = replace(api.services, links=None)
    there = Api(create_app(services.settings, services=services), services, api.notifier, api.storage, api.key)
    answer = there.get(str(path), key=None)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "private, no-cache")
    assert api.get(urlsplit(answer.headers["Location"]).path, key=None).status_code == 200


def test_a_blocked_image_shows_the_fallback_or_nothing(campaign_fixture: CampaignFixture, api: Api) -> None:
    plain = start(campaign_fixture, ["ann"])
    campaign_fixture.block(campaign_fixture.claim())
    asset_id = upload_asset(api)
    replaced, unreplaced = (
        start(campaign_fixture, [name], spec(on_block=OnBlock.FALLBACK, fallback_image=asset_id))
        for name in ("bob", "cid")
    )
    for campaign_id in (plain, replaced, unreplaced):
        change(api, campaign_id)
    (fallback,) = links(api, replaced)
    while (held := campaign_fixture.claim()) is not None:
        if campaign_of(campaign_fixture, held) == replaced:
            campaign_fixture.publish(held, Decimal(0), gpu_seconds=0.0, safety={"fallback_for": {"verdict": "block"}})
        else:
            campaign_fixture.block(held)
    campaign_fixture.print_all()
    store(api)
    assert links(api, plain) == links(api, unreplaced) == [None]
    answer = api.get(str(fallback), key=None)
    assert (answer.status_code, answer.content_type) == (200, "image/png")


def test_the_links_of_erased_images_and_deleted_campaigns_are_gone(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann", "bob"])
    campaign_fixture.print_all()
    store(api)
    change(api, campaign_id)
    first, second = links(api, campaign_id)
    assert api.call("DELETE", f"/v1/campaigns/{campaign_id}/recipients/1-1").status_code == 200
    answer = api.get(str(first), key=None)
    assert (answer.status_code, answer.json["code"]) == (410, "object_missing")
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    with campaign_fixture.database.transaction() as session:
        session.get_one(Campaign, campaign_id).deleted_at = campaign_fixture.read(campaign_id).created_at
    assert api.get(str(second), key=None).json["code"] == "not_found"


def test_a_forged_token_is_not_found(
    campaign_fixture: CampaignFixture, api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    campaign_id = start(campaign_fixture, ["ann"])
    other_id = start(campaign_fixture, ["ann"])
    campaign_fixture.print_all()
    store(api)
    for each in (campaign_id, other_id):
        change(api, each)
    (path,), (other,) = links(api, campaign_id), links(api, other_id)
    token = str(path).removeprefix("/p/")
    assert re.fullmatch(r"[A-Za-z0-9_-]{46}", token)
    swapped = str(other)[3:27] + token[24:]
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    index_one = (
        PublicLinks(b"guessed", "http://x").url(campaign_fixture.read(campaign_id), create_id(), 0).rpartition("/")[2]
    )
    for wrong in (swapped, changed, index_one, f"{token}=", f"{token}A", token[:-1], "x", "..", "%00", "é"):
        answer = api.get(f"/p/{wrong}", key=None)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), wrong
    assert token not in "".join(capfd.readouterr()), "a link is a secret"


def test_a_token_has_only_one_valid_encoding() -> None:
    campaign = Campaign(id=create_id(), link_version=1, has_links=True)
    url = PublicLinks(b"secret", "https://p.example").url(campaign, create_id(), 3)
    token = url.removeprefix("https://p.example/p/")
    read = LinkToken.parse(token)
    assert read is not None
    assert PublicLinks(b"secret", "").holds(campaign, read)
    assert not PublicLinks(b"other", "").holds(campaign, read)
    assert LinkToken.parse(token.replace("-", "+")) in (None, read)
    assert LinkToken.parse(token[:-1] + chr(ord(token[-1]) + 1)) != read
