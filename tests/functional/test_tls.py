"""Storage over TLS, where clients and servers have been seen to disagree about checksums."""

import pytest

from tests.functional.backends import Services
from tests.functional.stack import Stack, running
from tests.support.servers.services import Bucket


@pytest.fixture
def stack(postgresql_server: str, s3_tls: Bucket) -> Stack:
    """A stack whose S3 server speaks TLS."""
    with running(Services(postgresql_server, s3_tls, "tls")) as started:
        yield started
        started.check()


def test_images_are_stored_and_fetched_over_tls(stack: Stack) -> None:
    client = stack.client()
    job = client.wait(client.order(num_images=2, width=512, height=512))
    for image in job["images"]:
        assert image["url"].startswith("https://")
        linked = client.stranger.get(image["url"])
        assert linked.status_code == 200
        assert (len(linked.content), linked.headers["content-type"]) == (image["bytes"], "image/png")
        assert "content-encoding" not in linked.headers
