"""Images in a bucket of Amazon S3 or of any server that speaks its protocol.

Only what every such server does alike is used: no conditional writes, no encryption headers, no checksum trailers (some
servers store their framing as if it were the image).
"""

import base64
import hashlib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

import boto3
import botocore.session
import httpx2
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as UnreachableError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from common.errors import LinksUnprotectedError, ObjectMissingError, SettingsError, StorageError
from common.storage.links import format_content_disposition
from common.storage.port import PROBE, PROBE_LINK_SECONDS, check_linkable_key, check_storage_key
from common.storage.s3_deletion import ObjectDeletion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECTIONS = 32
KEYS_PER_PAGE = 1000
LINK_TIMEOUT_SECONDS = 10
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
REFUSED = frozenset({"AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "401"})


class S3Storage:
    """Keeps images as objects below one prefix of one bucket; links are presigned GET requests."""

    def __init__(
        self, client: "S3Client", public_client: "S3Client", bucket: str, *, prefix: str = "", trust: ssl.SSLContext
    ) -> None:
        self._client = client
        self._public_client = public_client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = client.meta.endpoint_url
        self._trust = trust
        self._deletion = ObjectDeletion(client, bucket, self._translate_faults)

    @classmethod
    def connect(cls, bucket: str, *, prefix: str = "", endpoint: str | None, public_endpoint: str | None) -> Self:
        """Return the storage of a bucket; credentials and region come from boto3's usual variables and files."""
        environment = botocore.session.get_session()
        session = boto3.session.Session(botocore_session=environment)
        try:
            client = _create_client(session, endpoint)
            public_client = _create_client(session, public_endpoint) if public_endpoint else client
            trust = ssl.create_default_context(cafile=environment.get_config_variable("ca_bundle"))
        except (ValueError, OSError, BotoCoreError) as error:
            raise SettingsError(f"The S3 settings are invalid: {_format_error(error)}.") from None
        return cls(client, public_client, bucket, prefix=prefix, trust=trust)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object, and see that all of it arrived."""
        check_storage_key(key)
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        name = self._prefix + key
        with self._translate_faults(key):
            self._client.put_object(
                Bucket=self._bucket, Key=name, Body=data, ContentType=content_type, ContentMD5=digest
            )
            size = self._client.head_object(Bucket=self._bucket, Key=name)["ContentLength"]
        if size != len(data):
            raise StorageError(f"The S3 server at {self._endpoint} stored only {size} of {len(data)} bytes.")

    def get(self, key: str) -> bytes:
        """Return an object's content."""
        check_storage_key(key)
        with self._translate_faults(key):
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()

    def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        check_storage_key(key)
        self._deletion.delete_object(self._prefix + key)

    def delete_all(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete many objects by as few requests as the server allows."""
        failed = self._deletion.delete_objects([self._prefix + key for key in keys])
        return {name.removeprefix(self._prefix): reason for name, reason in failed.items()}

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield keys page by page."""
        with self._translate_faults(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix, PaginationConfig={"PageSize": KEYS_PER_PAGE}
            )
            for page in pages:
                for item in page.get("Contents", []):
                    yield item["Key"].removeprefix(self._prefix)

    def sign(self, key: str, *, content_type: str, filename: str, seconds: int) -> str:
        """Return a presigned GET, on the endpoint that clients reach."""
        check_linkable_key(key)
        with self._translate_faults(key):
            return self._public_client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": self._prefix + key,
                    "ResponseContentType": content_type,
                    "ResponseContentDisposition": format_content_disposition(filename),
                },
                ExpiresIn=seconds,
            )

    def check(self) -> None:
        """Write, read back and delete a probe object."""
        with self._probe() as key:
            if self.get(key) != PROBE:
                raise StorageError(f"The S3 server at {self._endpoint} returned different data than was written.")

    def check_links(self) -> None:
        """Fetch a probe from the public endpoint by a signed link, by a changed one, and without a signature."""
        endpoint = self._public_client.meta.endpoint_url
        with self._probe() as key:
            url = self.sign(key, content_type="text/plain", filename="probe.txt", seconds=PROBE_LINK_SECONDS)
            response = self._fetch(url)
            if not _is_probe(response):
                raise StorageError(f"Signed links to {endpoint} return status {response.status_code}.")
            for fault, forged in _forge_links(url).items():
                if _is_probe(self._fetch(forged)):
                    raise LinksUnprotectedError(
                        f"The S3 server at {endpoint} returns images by links {fault}: whoever knows or guesses the "
                        "name of an image can read it, and links never expire."
                    )

    @contextmanager
    def _probe(self) -> Iterator[str]:
        """Yield the key of a probe object, which is deleted afterwards."""
        key = f"probes/{uuid4().hex}"
        self.put(key, PROBE, "text/plain")
        try:
            yield key
        finally:
            self.delete(key)

    def _fetch(self, url: str) -> httpx2.Response:
        try:
            return httpx2.get(url, timeout=LINK_TIMEOUT_SECONDS, verify=self._trust, trust_env=False)
        except httpx2.HTTPError as error:
            endpoint = self._public_client.meta.endpoint_url
            raise StorageError(f"Signed links cannot be fetched from {endpoint}: {_format_error(error)}.") from error

    @contextmanager
    def _translate_faults(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._explain(error, key) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise StorageError(
                "S3 credentials are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from error
        except ResponseParserError as error:
            raise StorageError(f"The server at {self._endpoint} is not an S3 server.") from error
        except SSLError as error:
            raise StorageError(f"The S3 server at {self._endpoint} does not have a trusted certificate.") from error
        except (UnreachableError, HTTPClientError) as error:
            raise StorageError(f"The S3 server at {self._endpoint} does not answer.") from error
        except BotoCoreError as error:
            raise StorageError(f"The S3 server at {self._endpoint} cannot be used: {_format_error(error)}.") from error

    def _explain(self, error: ClientError, key: str) -> StorageError:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code == "NoSuchBucket":
            return StorageError(f"The S3 server at {self._endpoint} has no bucket {self._bucket!r}.")
        if code in MISSING:
            return ObjectMissingError(f"The stored object {key} does not exist.")
        if code in REFUSED:
            return StorageError(f"The S3 server at {self._endpoint} denies access to {self._bucket!r} ({code}).")
        return StorageError(f"The S3 server at {self._endpoint} answered {code}.")


def _is_probe(response: httpx2.Response) -> bool:
    return response.status_code == httpx2.codes.OK and response.content == PROBE


def _forge_links(url: str) -> dict[str, str]:
    """Return links that must not be answered, made from a signed one, by what is wrong with them."""
    address, _, query = url.partition("?")
    fields = parse_qs(query)
    (signature,) = fields["X-Amz-Signature"]
    changed = {**fields, "X-Amz-Signature": [signature[:-1] + ("0" if signature[-1] != "0" else "1")]}
    return {
        "without a signature": address,
        "with a wrong signature": f"{address}?{urlencode(changed, doseq=True)}",
    }


def _create_client(session: boto3.session.Session, endpoint: str | None) -> "S3Client":
    config = Config(
        signature_version="s3v4",
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=CONNECTIONS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    region = session.region_name or ("us-east-1" if endpoint else None)
    return session.client("s3", endpoint_url=endpoint, region_name=region, config=config)


def _format_error(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
