"""A blocked picture on its way: into quarantine, before a reviewer, and out; or nowhere at all."""

import io
from collections.abc import Callable

from PIL import Image, ImageChops, ImageStat

from common.access import keys
from common.access.keys import Scope
from tests.functional.backends import Backend, Embedded
from tests.functional.stack import QUICK, Client, Stack, running
from worker.engine.painted import paint_donkey

CHECKED = QUICK | {"PRESSROOM_CHECKER": "open_nsfw"}
KEPT = CHECKED | {"PRESSROOM_QUARANTINE": "keep"}
DONKEY = {"prompt": "a donkey", "width": 256, "height": 256}


def open_review(stack: Stack) -> Client:
    """Return the client of a reviewer."""
    with stack.database.transaction() as session:
        key = keys.create_api_key(session, "rita", scopes=[Scope.SAFETY_REVIEW])
    stack.clients["rita"] = Client(stack.settings.base_url, key, stack.backend.authority)
    return stack.clients["rita"]


def test_the_donkey_is_blocked_kept_released_and_delivered(make_backend: Callable[[], Backend]) -> None:
    with running(make_backend(), settings=KEPT) as stack:
        client, reviewer = stack.client(), open_review(stack)
        job = client.wait(client.order(**DONKEY))
        assert (job["status"], job["error"]["code"]) == ("failed", "content_blocked")
        (image,) = job["images"]
        assert (image["status"], image["url"], image["safety"]["verdict"]) == ("quarantined", None, "block")
        assert image["safety"]["scores"]["nsfw"] > 0.8

        (waiting,) = reviewer.http.get("/v1/quarantine").json()["data"]
        assert (waiting["id"], waiting["owner"]) == (image["id"], "ada")
        preview = reviewer.http.get(f"/v1/quarantine/{image['id']}/preview")
        assert preview.headers["content-type"] == "image/webp"
        reviewer.post(f"/v1/quarantine/{image['id']}/release", status=200, note="a donkey")

        job = client.job(job["id"])
        assert (job["status"], job["images"][0]["status"], job["cost"]["amount"]) == ("failed", "delivered", "0")
        with Image.open(io.BytesIO(client.stranger.get(job["images"][0]["url"]).content)) as picture:
            difference = ImageStat.Stat(ImageChops.difference(picture.convert("RGB"), paint_donkey(256, 256)))
        assert max(difference.mean) == 0, "it is the donkey, to the last pixel"
        record = reviewer.http.get(f"/v1/quarantine/{image['id']}").json()
        assert [review["act"] for review in record["reviews"]] == ["previewed", "released"]
        stack.check()


def test_by_default_the_donkey_is_neither_delivered_nor_stored() -> None:
    with running(Embedded(), settings=CHECKED) as stack:
        client, reviewer = stack.client(), open_review(stack)
        job = client.wait(client.order(**DONKEY))
        (image,) = job["images"]
        assert (job["error"]["code"], image["status"], image["url"]) == ("content_blocked", "blocked", None)
        assert client.http.get(f"/v1/images/{image['id']}/content").status_code == 404
        assert reviewer.http.get("/v1/quarantine").json()["data"] == []
        assert list(stack.storage.list_keys("")) == []
        stack.check()
