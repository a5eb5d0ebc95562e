"""Deletes objects from a bucket, a thousand by one request where the server takes it, otherwise by one request each."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from common.errors import ObjectMissingError, StorageError
from common.logs import get_logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

MOST_PER_REQUEST = 1000
AT_ONCE = 16
"""Requests that are under way at a time where the server takes no bulk delete."""

GONE = frozenset({"NoSuchKey", "NoSuchVersion"})
log = get_logger(__name__)


class ObjectDeletion:
    """Deletes objects of one bucket, by their full names; *translate* turns what goes wrong into StorageError."""

    def __init__(
        self, client: "S3Client", bucket: str, translate: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._translate = translate
        self._is_reported = False
        client.meta.events.register("before-call.s3.DeleteObjects", _add_content_md5)

    def delete_object(self, name: str) -> None:
        """Delete an object, if there is one."""
        try:
            with self._translate(name):
                self._client.delete_object(Bucket=self._bucket, Key=name)
        except ObjectMissingError:
            return

    def delete_objects(self, names: Sequence[str]) -> dict[str, str]:
        """Delete many objects; return those that the server refuses to delete, each with a sentence why."""
        failed: dict[str, str] = {}
        for first in range(0, len(names), MOST_PER_REQUEST):
            failed |= self._delete_chunk(names[first : first + MOST_PER_REQUEST])
        return failed

    def _delete_chunk(self, names: Sequence[str]) -> dict[str, str]:
        wanted: list[ObjectIdentifierTypeDef] = [{"Key": name} for name in names]
        try:
            with self._translate(names[0]):
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": wanted, "Quiet": True})
        except StorageError as error:
            if not _may_take_single_deletes(error):
                raise
            self._report_missing_bulk_delete(error)
            return self._delete_one_by_one(names)
        codes = {each.get("Key", ""): each.get("Code", "unknown") for each in answer.get("Errors", [])}
        return {name: f"The S3 server answered {code}." for name, code in codes.items() if code not in GONE}

    def _report_missing_bulk_delete(self, error: StorageError) -> None:
        if not self._is_reported:
            log.warning("bulk_delete_refused", reason=error.message, remedy="Allow DeleteObjects: it is much faster.")
            self._is_reported = True

    def _delete_one_by_one(self, names: Sequence[str]) -> dict[str, str]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            reasons = zip(names, pool.map(self._try_delete, names), strict=True)
            return {name: reason for name, reason in reasons if reason is not None}

    def _try_delete(self, name: str) -> str | None:
        """Delete an object; return why the server refuses it. Raises StorageError if it does not respond."""
        try:
            self.delete_object(name)
        except StorageError as error:
            if not isinstance(error.__cause__, ClientError):
                raise
            return error.message
        return None


def _may_take_single_deletes(error: StorageError) -> bool:
    """Return whether a server that refuses DeleteObjects so may still take DeleteObject."""
    if not isinstance(error.__cause__, ClientError):
        return False
    status = error.__cause__.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.NOT_IMPLEMENTED


def _add_content_md5(params: dict[str, Any], **_event: object) -> None:
    # This request must have a checksum. boto3 would send a CRC32, which older servers do not know; all know this one.
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
    params.get("context", {}).pop("checksum", None)
