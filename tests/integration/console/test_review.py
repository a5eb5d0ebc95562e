"""The console's review of quarantine: blurred prints, their record, and what reviewers decide; on both databases."""

from pathlib import Path

import pytest

from common.access.keys import Scope
from common.states.jobs import ImageStatus, JobStatus
from common.tables.quarantine import QuarantineState, ReviewAct
from tests.integration.console.test_access import sign_in, token_of_any_page
from tests.integration.console.test_pages import MOST_QUERIES, counting
from tests.integration.images.test_quarantine import acts, print_blocked
from tests.support.apis import Api, open_api
from tests.support.press_fixture import PressFixture


@pytest.fixture
def kept(press_fixture: PressFixture) -> PressFixture:
    """A press that keeps blocked images."""
    return PressFixture(
        press_fixture.database, press_fixture.storage, press_fixture.settings.model_copy(update={"quarantine": "keep"})
    )


@pytest.fixture
def api(kept: PressFixture, tmp_path: Path) -> Api:
    opened = open_api(kept.database, tmp_path / "home")
    sign_in(opened, Scope.SAFETY_REVIEW, owner="rita")
    return opened


def decide(api: Api, image_id: str, act: str, note: str = "") -> tuple[int, str]:
    form = {"csrf_token": token_of_any_page(api), "note": note}
    answer = api.client.post(f"/console/review/{image_id}/{act}", data=form)
    return answer.status_code, answer.headers.get("Location", answer.text)


def list_waiting(api: Api) -> list[str]:
    reviewer = api.make_key("rita", (Scope.SAFETY_REVIEW,))
    return [each["id"] for each in api.get("/v1/quarantine?state=waiting", key=reviewer).json["data"]]


def test_an_empty_review_page_explains_how_to_enable_quarantine(api: Api) -> None:
    assert "PRESSROOM_QUARANTINE=keep" in api.client.get("/console/review").text
    assert "Select another state" in api.client.get("/console/review?state=released").text


def test_waiting_images_are_listed_blurred_page_by_page(
    api: Api, kept: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.pages.review.PAGE_SIZE", 2)
    for _ in range(3):
        print_blocked(kept)
    ids = list_waiting(api)
    with counting(api.database) as sent:
        first = api.client.get("/console/review").text
    assert len(sent) <= MOST_QUERIES
    assert [image_id for image_id in ids if image_id in first] == ids[:2]
    assert first.count("/preview") == 2
    assert "/files/" not in first
    link = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert [image_id for image_id in ids if image_id in api.client.get(link).text] == ids[2:]


def test_viewing_an_image_is_recorded_and_the_record_is_shown(api: Api, kept: PressFixture) -> None:
    print_blocked(kept)
    (image_id,) = list_waiting(api)
    assert "Not viewed yet" in api.client.get(f"/console/review/{image_id}").text
    seen = api.client.get(f"/console/review/{image_id}/preview")
    assert (seen.status_code, seen.content_type, seen.headers["Cache-Control"]) == (200, "image/webp", "no-store")
    assert [act for act, _, _ in acts(api.database)] == [ReviewAct.PREVIEWED]
    assert "<b>previewed</b>" in api.client.get(f"/console/review/{image_id}").text


@pytest.mark.parametrize(
    ("act", "state", "status"),
    [
        ("release", QuarantineState.RELEASED, ImageStatus.DELIVERED),
        ("confirm", QuarantineState.CONFIRMED, ImageStatus.BLOCKED),
    ],
)
def test_an_image_is_released_or_its_block_confirmed_once(
    api: Api, kept: PressFixture, act: str, state: QuarantineState, status: ImageStatus
) -> None:
    job = print_blocked(kept)
    assert job.status is JobStatus.FAILED
    (image_id,) = list_waiting(api)
    assert decide(api, image_id, act, "a <donkey>") == (303, f"/console/review?note=review-{state}")
    assert list_waiting(api) == []
    page = api.client.get(f"/console/review/{image_id}").text
    assert "a &lt;donkey&gt;" in page
    assert "/preview" not in page
    assert api.get(f"/v1/images/{image_id}").json["status"] == status
    code, text = decide(api, image_id, "confirm")
    assert code == 409
    assert "no longer waits" in text
    assert decide(api, image_id, "burn")[0] == 404
    assert image_id in api.client.get(f"/console/review?state={state}").text
