"""Names of models and adapters, as requests use them, derived from the names of their files."""

import hashlib
import re
import unicodedata

LONGEST_NAME = 64
_UNUSABLE = re.compile(r"[^a-z0-9._-]+")


def derive_name(file_name: str, kind: str) -> str:
    """Return the name of a model or adapter: its file's, in lower case, as far as a name may contain it.

    Where nothing is left, for example of a name in Chinese, it is *kind* and a digest.
    """
    plain = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode().lower()
    name = _UNUSABLE.sub("-", plain).strip("-._")[:LONGEST_NAME]
    return name or f"{kind}-{hashlib.sha256(file_name.encode(errors='replace')).hexdigest()[:8]}"


def keep_printable(file_name: str) -> str:
    """Return *file_name* as a title: without control characters and undecodable bytes."""
    return "".join(letter for letter in file_name if letter.isprintable()).strip()
