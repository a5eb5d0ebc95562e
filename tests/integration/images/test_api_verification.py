"""Verification over HTTP: an image is recognised by its file, its manifest or its fingerprint."""

import io
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import c2pa
import pytest
from PIL import Image as Pillow

from common.db.engine import Database
from common.images import similarity
from common.images.certificates import resolve_default_folder
from common.images.fingerprint import Fingerprint
from common.images.provenance import DIGITAL_SOURCE_TYPE
from common.states.jobs import JobStatus
from common.tables import Image
from tests.support import certificates, factories
from tests.support.apis import Api, open_api
from tests.support.picture_files import PNG, encode, form
from tests.support.press_fixture import PressFixture
from worker.engine.painted import paint_picture
from worker.press import runner

SIDE = 128
STRANGERS = 200

Printer = Callable[..., Image]


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path, models=("painted",), provenance="required")


@pytest.fixture
def print_one(api: Api) -> Printer:
    return printer(api)


def printer(api: Api) -> Printer:
    """Return a function that has a press print one signed image of the owner ada, and returns its row."""
    settings = api.services.settings
    certificates.make(resolve_default_folder(settings))
    press_fixture = PressFixture(api.database, api.storage, settings)

    def print_one(owner: str = "ada", **request: Any) -> Image:
        fields = {"width": SIDE, "height": SIDE, "steps": 1} | request
        job = factories.submit(api.database, owner, request=fields)
        with press_fixture.press() as press:
            runner.run_next_job(press)
        assert factories.read(api.database, job.id).status is JobStatus.SUCCEEDED
        (image,) = press_fixture.images(job.id)
        return image

    return print_one


def file_of(api: Api, image: Image) -> bytes:
    return api.storage.get(image.storage_key or "")


def verify(api: Api, data: bytes, **options: Any) -> dict[str, Any]:
    answer = api.post("/v1/verify", data={"file": (io.BytesIO(data), "picture")}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def strip(data: bytes, kind: str = "PNG", side: int = SIDE, **options: Any) -> bytes:
    """Return the pixels in a new file without any of its marks."""
    with Pillow.open(io.BytesIO(data)) as opened:
        pixels = Pillow.frombytes("RGB", opened.size, opened.convert("RGB").tobytes())
    return encode(pixels.resize((side, side)), kind, **options)


def flip_pixel(data: bytes) -> bytes:
    """Return a PNG file with one bit of one pixel changed and all its marks as they were."""
    with Pillow.open(io.BytesIO(data)) as opened:
        pixels = opened.convert("RGB")
    red, green, blue = pixels.getpixel((5, 5))  # type: ignore[misc]  # of bytes
    pixels.putpixel((5, 5), (red ^ 1, green, blue))
    changed = encode(pixels)
    head = data[: data.index(b"IDAT") - 4]
    return head + changed[changed.index(b"IDAT") - 4 :]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_the_original_file_is_recognised_for_its_owner(api: Api, print_one: Printer, kind: str) -> None:
    image = print_one(output_format=kind)
    told = verify(api, file_of(api, image))
    assert (told["printed_here"], told["recognised_by"], told["unchanged"]) == (True, "file", True)
    assert (told["job_id"], told["image_id"]) == (str(image.job_id), str(image.id))
    assert told["printed_at"].replace("Z", "+00:00") == image.created_at.isoformat()
    assert told["manifest"] == {"state": "trusted", "signed_by": "Trial", "is_generated": True, "faults": []}
    assert told["candidates"] == []


def test_a_file_with_one_flipped_pixel_is_recognised_by_its_manifest_as_changed(api: Api, print_one: Printer) -> None:
    image = print_one()
    told = verify(api, flip_pixel(file_of(api, image)))
    assert (told["printed_here"], told["recognised_by"], told["unchanged"]) == (True, "manifest", False)
    assert (told["job_id"], told["image_id"]) == (str(image.job_id), None)
    assert told["manifest"]["state"] == "invalid"
    assert told["manifest"]["faults"] == ["assertion.dataHash.mismatch"]


@pytest.mark.parametrize(
    "change",
    [
        strip,
        lambda data: strip(data, "JPEG", SIDE // 2, quality=70),
        lambda data: strip(data, "WEBP", 2 * SIDE, quality=70),
    ],
    ids=["stripped", "resized JPEG", "enlarged WebP"],
)
def test_a_copy_without_its_marks_is_recognised_by_its_fingerprint(
    database: Database, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    api = open_api(database, tmp_path, models=("painted",), provenance="required")
    print_one = printer(api)
    images = [print_one(seed=seed) for seed in range(3)]
    told = verify(api, change(file_of(api, images[1])))
    assert (told["printed_here"], told["recognised_by"], told["unchanged"]) == (None, "likeness", None)
    assert [candidate["image_id"] for candidate in told["candidates"]] == [str(images[1].id)]
    assert told["manifest"]["state"] == "absent"
    assert (told["job_id"], told["image_id"], told["printed_at"]) == (None, None, None)


def test_other_owners_learn_the_time_but_neither_the_job_nor_similar_images(api: Api, print_one: Printer) -> None:
    data, stranger = file_of(api, print_one()), api.make_key("grace")
    for changed in (data, flip_pixel(data)):
        told = verify(api, changed, key=stranger)
        assert told["printed_here"]
        assert told["printed_at"]
        assert (told["job_id"], told["image_id"]) == (None, None)
    told = verify(api, strip(data), key=stranger)
    assert (told["printed_here"], told["candidates"]) == (False, [])


def test_an_image_from_elsewhere_is_not_recognised(api: Api, print_one: Printer) -> None:
    for seed in range(3):
        print_one(seed=seed)
    seen = [_appraise(number) for number in range(STRANGERS)]
    with api.database.reading() as session:
        assert [similarity.list_similar(session, "ada", each, 10) for each in seen] == [[]] * STRANGERS
    told = verify(api, encode(paint_picture("somebody else's", 7, SIDE, SIDE)))
    assert (told["printed_here"], told["recognised_by"], told["candidates"]) == (False, None, [])


def _appraise(number: int) -> Fingerprint:
    from common.images.perceptual_hash import compute_fingerprint  # noqa: PLC0415  (beside what the api may import)

    return compute_fingerprint(paint_picture(f"never printed {number}", 1000 + number, SIDE, SIDE))


def test_a_manifest_signed_by_someone_else_does_not_pass_for_ours(api: Api, print_one: Printer, tmp_path: Path) -> None:
    image = print_one()
    forger = certificates.make(tmp_path / "forger")
    definition = {
        "claim_generator_info": [{"name": "Pressroom"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": DIGITAL_SOURCE_TYPE,
                            "parameters": {"pressroom.job": f"urn:uuid:{image.job_id}"},
                        },
                    ]
                },
            }
        ],
    }
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(b"es256", forger.chain.read_bytes(), forger.key.read_bytes(), None)
    )
    forged = io.BytesIO()
    c2pa.Builder(definition, c2pa.Context(c2pa.Settings(), signer)).sign("image/png", io.BytesIO(PNG), forged)
    told = verify(api, forged.getvalue())
    assert (told["printed_here"], told["recognised_by"]) == (False, None)
    assert told["manifest"]["state"] == "valid"
    assert "signingCredential.untrusted" in told["manifest"]["faults"]


def test_files_are_recognised_without_a_certificate_too(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, models=("painted",), provenance="off")
    image = printer(api)()
    for path in resolve_default_folder(api.services.settings).iterdir():
        path.unlink()
    told = verify(api, file_of(api, image))
    assert (told["recognised_by"], told["manifest"]["state"]) == ("file", "absent")


def test_a_remote_manifest_is_not_fetched(api: Api) -> None:
    asked: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/manifest"
        data = encode(Pillow.open(io.BytesIO(PNG)), "JPEG", xmp=_provenance(url))
        told = verify(api, data)
        server.shutdown()
        thread.join()
    assert asked == []
    assert told["manifest"]["state"] in ("absent", "unreadable")


def _provenance(url: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{url}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"a lighthouse", "unsupported_image"), (PNG[:60], "damaged_image"), (b"", "unsupported_image")],
)
def test_a_file_that_is_not_an_image_is_refused_as_for_assets(api: Api, data: bytes, code: str) -> None:
    answer = api.post("/v1/verify", data={"file": (io.BytesIO(data), "picture")})
    assert (answer.status_code, answer.json["code"]) == (422, code)


def test_nothing_of_a_verified_file_is_stored(api: Api) -> None:
    verify(api, PNG)
    assert list(api.storage.list_keys("")) == []


def test_a_form_without_the_file_is_refused(api: Api) -> None:
    answer = api.post("/v1/verify", **form(("image", "a.png", PNG)))
    assert answer.status_code == 422
    assert api.post("/v1/verify", data={"file": (io.BytesIO(PNG), "a.png")}, key=None).status_code == 401
