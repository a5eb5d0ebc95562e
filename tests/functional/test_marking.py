"""Every image that is delivered says that a model made it, in every format; nothing in it identifies the customer."""

import hashlib
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import c2pa
import pytest
from PIL import Image

from common.images.certificates import AUTHORITY, CHAIN, KEY
from common.images.provenance import DIGITAL_SOURCE_TYPE
from common.jobs.request import OutputFormat
from tests.functional.backends import Embedded
from tests.functional.stack import CUSTOMER_TEXT, QUICK, Client, Stack, running
from tests.support.servers.webhook_receivers import answer, receiving
from tests.support.waiting import PATIENCE_SECONDS, until

JOBS, IMAGES_EACH = 15, 4
"""Sixty images."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a certificate as ``pressroom provenance init`` makes one."""
    home = tmp_path_factory.mktemp("home")
    program = Path(sys.executable).with_name("pressroom")
    words = [program, "provenance", "init", "--organisation", "Trial"]
    subprocess.run(words, env={"PRESSROOM_HOME": str(home)}, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return home / "provenance"


@pytest.fixture(scope="module")
def running_stack(certificate: Path) -> Iterator[Stack]:
    """A stack whose images must be signed."""
    signing = {
        "PRESSROOM_PROVENANCE": "required",
        "PRESSROOM_PROVENANCE_CERTIFICATE": str(certificate / CHAIN),
        "PRESSROOM_PROVENANCE_KEY": str(certificate / KEY),
        "PRESSROOM_WEBHOOK_ALLOW": "127.0.0.1",
    }
    with running(Embedded(), settings=QUICK | signing) as started:
        yield started


def fetch(client: Client, url: str) -> bytes:
    answered = client.stranger.get(url)
    assert answered.status_code == 200
    return answered.content


def has_xmp(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as opened:
        return DIGITAL_SOURCE_TYPE.encode() in opened.info["xmp"]


def verify(client: Client, data: bytes) -> dict[str, Any]:
    answered = client.http.post("/v1/verify", files={"file": ("picture", data, "application/octet-stream")})
    assert answered.status_code == 200, answered.text
    return answered.json()


def test_each_of_sixty_images_in_three_formats_is_marked_and_signed(stack: Stack, certificate: Path) -> None:
    client = stack.client()
    forms = [list(OutputFormat)[place % len(OutputFormat)].value for place in range(JOBS)]
    ordered = [
        client.order(num_images=IMAGES_EACH, seed=10 * place, output_format=form) for place, form in enumerate(forms)
    ]
    stack.settle(ordered)
    anchors = c2pa.Settings.from_dict({"trust": {"trust_anchors": (certificate / AUTHORITY).read_text()}})
    counted: Counter[str] = Counter()
    for job_id, form in zip(ordered, forms, strict=True):
        for image in client.job(job_id)["images"]:
            data = fetch(client, image["url"])
            assert (image["signed"], image["sha256"]) == (True, hashlib.sha256(data).hexdigest())
            assert has_xmp(data)
            assert has_xmp(fetch(client, image["thumbnail_url"]))
            reader = c2pa.Reader(f"image/{form}", io.BytesIO(data), context=c2pa.Context(anchors))
            assert reader.get_validation_state() == "Trusted"
            assert f"urn:uuid:{job_id}" in reader.json()
            assert CUSTOMER_TEXT.encode() not in data
            counted[form] += 1
    assert counted == dict.fromkeys(forms, JOBS * IMAGES_EACH // len(OutputFormat))


def test_a_picture_is_recognised_with_its_marks_and_without(stack: Stack) -> None:
    client = stack.client()
    (image,) = client.wait(client.order(width=128, height=128, seed=99))["images"]
    data = fetch(client, image["url"])
    told = verify(client, data)
    assert (told["recognised_by"], told["image_id"], told["unchanged"]) == ("file", image["id"], True)
    with Image.open(io.BytesIO(data)) as opened:
        small = io.BytesIO()
        opened.convert("RGB").resize((96, 96)).save(small, "JPEG", quality=75)
    told = verify(client, small.getvalue())
    assert (told["recognised_by"], told["candidates"][0]["image_id"]) == ("likeness", image["id"])
    assert verify(stack.client("grace"), small.getvalue())["printed_here"] is False


def test_an_image_can_be_erased_and_is_gone_for_every_link(stack: Stack) -> None:
    client = stack.client()
    (image,) = client.wait(client.order())["images"]
    assert client.http.delete(f"/v1/images/{image['id']}").status_code == 204
    assert client.stranger.get(image["url"]).status_code == 410
    assert client.stranger.get(image["thumbnail_url"]).status_code == 410
    assert client.http.get(f"/v1/images/{image['id']}").json()["status"] == "erased"


def test_prompts_appear_in_no_log_however_their_jobs_end(stack: Stack) -> None:
    client = stack.client()
    with receiving(answer(500)) as receiver:
        webhook = client.post("/v1/webhooks", status=201, url=receiver.url, description="mine")
        for fields in (
            {"prompt": CUSTOMER_TEXT * 5000},
            {"prompt": CUSTOMER_TEXT, "model": CUSTOMER_TEXT},
            {"prompt": CUSTOMER_TEXT, "metadata": {CUSTOMER_TEXT: [CUSTOMER_TEXT]}},
            {"prompt": CUSTOMER_TEXT, "adapters": [{"name": CUSTOMER_TEXT}]},
            {"prompt": CUSTOMER_TEXT, "init_image": CUSTOMER_TEXT},
            {CUSTOMER_TEXT: CUSTOMER_TEXT},
        ):
            assert client.http.post("/v1/jobs", json=fields).status_code == 422
        for path in (
            f"/v1/jobs/{CUSTOMER_TEXT}",
            f"/v1/jobs?model={CUSTOMER_TEXT}",
            f"/v1/images/{CUSTOMER_TEXT}/content?variant={CUSTOMER_TEXT}",
        ):
            assert client.http.get(path).status_code in (200, 404, 422)
        assert client.http.post("/v1/jobs", content=f'{{"prompt": "{CUSTOMER_TEXT}'.encode()).status_code in (400, 415)
        name = {"customer": f"Ada {CUSTOMER_TEXT}"}
        expired = client.order(metadata=name, steps=150, deadline_s=1)
        canceled = client.order(metadata=name, steps=150)
        client.post(f"/v1/jobs/{canceled}/cancel", status=200)
        printed = client.order(metadata=name, negative_prompt=CUSTOMER_TEXT)
        stack.settle([expired, canceled, printed])
        until(lambda: len(receiver.received) >= 3, "messages that are refused")
        assert any(CUSTOMER_TEXT.encode() in request.body for request in receiver.received), (
            "they do carry the metadata"
        )
        assert client.http.delete(f"/v1/webhooks/{webhook['id']}").status_code == 204
    stack.check()
