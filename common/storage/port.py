"""The interface of an object storage, and the rules for its keys."""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from common.errors import StorageError
from common.storage.keys import QUARANTINE_PREFIX

LONGEST_KEY = 512
SEGMENT = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}")
"""One part of a key. A leading dot is refused, and with it ``.``, ``..`` and the names of unfinished files."""

PROBE = b"Pressroom was here."
PROBE_LINK_SECONDS = 60


class ObjectStore(Protocol):
    """Keeps images under keys, for code that serves none of them."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store *data*, wholly or not at all; what was there before is replaced."""
        ...

    def delete(self, key: str) -> None:
        """Delete what is stored, if anything is."""
        ...

    def delete_all(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete what is stored under many keys; return the keys that cannot be deleted, each with a sentence why.

        What holds for all of them, such as a server that does not answer, is raised as StorageError.
        """
        ...

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with *prefix*, in no particular order."""
        ...

    def check(self) -> None:
        """Write, read back and delete a probe; raise StorageError, one plain sentence, where it goes wrong.

        What only clients need, such as the public address of links, is not asked for: a press works without it.
        """
        ...


class Storage(ObjectStore, Protocol):
    """Also gives images out; the api does so by ``common.images.served_files`` alone."""

    def get(self, key: str) -> bytes:
        """Return what is stored; raise ObjectMissingError if nothing is."""
        ...

    def sign(self, key: str, *, content_type: str, filename: str, seconds: int) -> str:
        """Return an absolute URL from which anyone can read *key* for so many seconds."""
        ...

    def check_links(self) -> None:
        """Read a probe by its link as a client would; raise StorageError, one plain sentence, if that fails.

        Raises LinksUnprotectedError if it can also be read by a link that was not signed, or was changed since.
        """
        ...


def check_storage_key(key: str) -> None:
    """Raise StorageError unless *key* is a relative path of plain names."""
    if len(key) > LONGEST_KEY or not all(SEGMENT.fullmatch(part) for part in key.split("/")):
        raise StorageError(f"{key[:LONGEST_KEY]!r} is not a valid storage key.")


def check_linkable_key(key: str) -> None:
    """Raise StorageError for what no link may ever lead to, and for what ``check_key`` refuses."""
    check_storage_key(key)
    if key.startswith(QUARANTINE_PREFIX):
        raise StorageError("Links to images in quarantine are never signed.")
