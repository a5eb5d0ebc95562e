"""The S3 storage against a real server that checks signatures."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from uuid import uuid4

import httpx2
import pytest
import trustme
from structlog.testing import capture_logs

from common.errors import LinksUnprotectedError, ObjectMissingError, SettingsError, StorageError
from common.settings import Settings
from common.storage import open_storage, s3, s3_deletion
from common.storage.port import Storage
from tests.faults.support import scripted_s3
from tests.faults.support.scripted_s3 import Script
from tests.support.servers.services import Bucket

PIXELS = bytes(range(256)) * 1200


def open_bucket(monkeypatch: pytest.MonkeyPatch, bucket: Bucket, **changes: str) -> Storage:
    for name, value in (bucket.environ | changes).items():
        monkeypatch.setenv(name, value)
    return open_storage(Settings.from_environ())


@pytest.fixture
def storage(monkeypatch, s3) -> Storage:
    return open_bucket(monkeypatch, s3, PRESSROOM_STORAGE_URL=f"s3://{s3.name}/{uuid4()}")


def test_objects_are_stored_read_listed_and_deleted(storage):
    storage.put("owners/ann/0.png", PIXELS, "image/png")
    storage.put("owners/bob/0.png", b"", "image/png")
    assert storage.get("owners/ann/0.png") == PIXELS
    assert storage.get("owners/bob/0.png") == b""
    assert list(storage.list_keys("owners/ann/")) == ["owners/ann/0.png"]
    storage.delete("owners/ann/0.png")
    storage.delete("owners/ann/0.png")
    with pytest.raises(ObjectMissingError):
        storage.get("owners/ann/0.png")


def test_many_objects_are_deleted_by_few_requests(storage, monkeypatch):
    monkeypatch.setattr(s3_deletion, "MOST_PER_REQUEST", 3)
    keys = [f"many/{number}-ü&<>.png" for number in range(7)]
    for key in [*keys, "other.png"]:
        storage.put(key, b"", "image/png")
    assert storage.delete_all([*keys, "many/missing.png"]) == {}
    assert list(storage.list_keys("")) == ["other.png"]
    assert storage.delete_all([]) == {}


@pytest.fixture
def scripted(monkeypatch) -> Iterator[tuple[Script, Storage]]:
    with scripted_s3.serving(monkeypatch.setenv) as (script, storage):
        for number in range(3):
            storage.put(f"{number}.png", b"", "image/png")
        yield script, storage


@pytest.mark.parametrize("refusal", [None, (501, "NotImplemented"), scripted_s3.DENIED, (405, "MethodNotAllowed")])
def test_an_object_that_cannot_be_deleted_is_named_and_the_others_are_deleted(scripted, refusal):
    script, storage = scripted
    script.undeletable, script.bulk_refusal = "1.png", refusal
    failed = storage.delete_all([f"{number}.png" for number in range(3)])
    assert list(failed) == ["1.png"]
    assert "AccessDenied" in failed["1.png"]
    assert list(script.objects) == ["1.png"]


def test_a_refused_bulk_delete_is_reported_once(scripted):
    script, storage = scripted
    script.bulk_refusal = (501, "NotImplemented")
    with capture_logs() as logged:
        for number in range(2):
            storage.delete_all([f"{number}.png"])
    assert [line["event"] for line in logged] == ["bulk_delete_refused"]
    assert script.bulk_deletes == 2


def test_an_overloaded_server_is_not_asked_once_for_each_object(scripted):
    script, storage = scripted
    script.bulk_refusal = scripted_s3.SERVER_ERROR
    with pytest.raises(StorageError, match="InternalError"):
        storage.delete_all(["0.png"])
    assert len(script.objects) == 3


def test_a_listing_continues_over_many_pages(storage, monkeypatch):
    monkeypatch.setattr(s3, "KEYS_PER_PAGE", 2)
    for number in range(7):
        storage.put(f"many/{number}", b"", "image/png")
    assert sorted(storage.list_keys("many/")) == [f"many/{number}" for number in range(7)]


def test_a_link_is_readable_without_a_key_and_names_type_and_file(storage):
    storage.put("0.png", PIXELS, "application/octet-stream")
    response = httpx2.get(storage.sign("0.png", content_type="image/png", filename="my print.png", seconds=60))
    assert response.content == PIXELS
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''my%20print.png"


def test_a_link_grants_access_to_nothing_else(storage):
    storage.put("0.png", PIXELS, "image/png")
    storage.put("1.png", PIXELS, "image/png")
    url = storage.sign("0.png", content_type="image/png", filename="0.png", seconds=60)
    assert httpx2.get(url.replace("/0.png?", "/1.png?")).status_code == httpx2.codes.FORBIDDEN


def test_links_are_given_on_the_public_endpoint(monkeypatch, s3):
    public = s3.endpoint.replace("127.0.0.1", "localhost")
    storage = open_bucket(monkeypatch, s3, PRESSROOM_S3_PUBLIC_ENDPOINT=public)
    storage.put("public.png", PIXELS, "image/png")
    url = storage.sign("public.png", content_type="image/png", filename="0.png", seconds=60)
    assert url.startswith(public)
    assert httpx2.get(url).content == PIXELS


def test_a_working_bucket_passes_the_check_and_keeps_no_test_object(storage):
    storage.check()
    assert list(storage.list_keys("")) == []


def test_a_bucket_over_tls_stores_the_bytes_as_they_are(monkeypatch, s3_tls):
    storage = open_bucket(monkeypatch, s3_tls)
    storage.check()
    storage.put("tls.png", PIXELS, "image/png")
    assert storage.get("tls.png") == PIXELS
    head = s3_tls.connect().head_object(Bucket=s3_tls.name, Key="pictures/tls.png")
    assert head["ContentLength"] == len(PIXELS)
    assert not head.get("ContentEncoding")


def test_a_missing_bucket_is_named(monkeypatch, s3):
    storage = open_bucket(monkeypatch, s3, PRESSROOM_STORAGE_URL="s3://nowhere")
    with pytest.raises(StorageError, match=r"^The S3 server at \S+ has no bucket 'nowhere'\.$"):
        storage.check()


def test_a_wrong_secret_is_reported_as_denied_access(monkeypatch, s3):
    storage = open_bucket(monkeypatch, s3, AWS_SECRET_ACCESS_KEY="wrong")
    with pytest.raises(StorageError, match="denies access"):
        storage.check()


def test_missing_credentials_are_reported(monkeypatch, s3, tmp_path):
    storage_environ = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": ""}
    storage = open_bucket(monkeypatch, s3, **storage_environ)
    with pytest.raises(StorageError, match="S3 credentials are missing: set AWS_ACCESS_KEY_ID"):
        storage.check()


def test_a_port_on_which_nothing_listens_is_reported(monkeypatch, s3):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        storage = open_bucket(monkeypatch, s3, PRESSROOM_S3_ENDPOINT=endpoint)
        with pytest.raises(StorageError, match=f"^The S3 server at {endpoint} does not answer"):
            storage.check()


@pytest.mark.parametrize("status", [200, 404, 501])
def test_a_port_on_which_another_server_listens_is_reported(monkeypatch, s3, status):
    with other_server(status) as endpoint:
        storage = open_bucket(monkeypatch, s3, PRESSROOM_S3_ENDPOINT=endpoint)
        with pytest.raises(StorageError):
            storage.check()


def test_an_unreachable_public_endpoint_is_a_fault_of_links_and_not_of_the_storage(monkeypatch, s3):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        public = f"http://127.0.0.1:{unused.getsockname()[1]}"
        storage = open_bucket(monkeypatch, s3, PRESSROOM_S3_PUBLIC_ENDPOINT=public)
        storage.check()
        with pytest.raises(StorageError, match=f"^Signed links cannot be fetched from {public}"):
            storage.check_links()


def test_a_server_that_checks_signatures_protects_its_links(storage):
    storage.check_links()
    assert list(storage.list_keys("")) == []


@pytest.mark.parametrize(
    ("wants_signature", "fault"), [(False, "without a signature"), (True, "with a wrong signature")]
)
def test_a_server_that_answers_forged_links_is_reported(monkeypatch, wants_signature, fault):
    with scripted_s3.serving(monkeypatch.setenv) as (script, storage):
        script.wants_signature = wants_signature
        storage.check()
        with pytest.raises(LinksUnprotectedError, match=f"returns images by links {fault}"):
            storage.check_links()
        assert script.objects == {}


def test_an_untrusted_certificate_is_reported(monkeypatch, s3_tls, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "another.pem")
    storage = open_bucket(monkeypatch, s3_tls, AWS_CA_BUNDLE=str(tmp_path / "another.pem"))
    with pytest.raises(StorageError, match="does not have a trusted certificate"):
        storage.check()


def test_an_endpoint_that_is_not_a_url_is_refused(monkeypatch, s3):
    with pytest.raises(SettingsError, match="Invalid endpoint"):
        open_bucket(monkeypatch, s3, PRESSROOM_S3_ENDPOINT="not a url")


@contextmanager
def other_server(status: int) -> Iterator[str]:
    """Run an HTTP server that knows nothing of S3 and answers all with *status*."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", "5")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"hello")

        do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815  (the names that the library calls)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
