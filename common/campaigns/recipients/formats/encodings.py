"""The encodings of texts that a request may declare, with the languages for which they are used."""

from encodings import normalize_encoding
from encodings.aliases import aliases

TITLES = {
    "utf-8": "Unicode",
    "utf-16": "Unicode",
    "windows-1252": "Western European",
    "windows-1250": "Central European",
    "windows-1251": "Cyrillic",
    "windows-1253": "Greek",
    "windows-1254": "Turkish",
    "windows-1255": "Hebrew",
    "windows-1256": "Arabic",
    "windows-1257": "Baltic",
    "windows-1258": "Vietnamese",
    "iso-8859-1": "Western European",
    "iso-8859-2": "Central European",
    "iso-8859-5": "Cyrillic",
    "iso-8859-7": "Greek",
    "iso-8859-9": "Turkish",
    "iso-8859-13": "Baltic",
    "iso-8859-15": "Western European with the euro",
    "koi8-r": "Russian",
    "macintosh": "Western European, of older Macs",
    "mac-latin2": "Central European, of older Macs",
}
"""The names by which encodings are told; Python knows each by its name here."""


def find_encoding(charset: str) -> str | None:
    """Return the encoding that a media type names as *charset*, in any of its spellings; None if it is not taken."""
    return _BY_CODEC.get(_find_codec(charset)) if charset.isascii() else None


def _find_codec(name: str) -> str:
    spelled = normalize_encoding(name).lower()
    return aliases.get(spelled, spelled)


_BY_CODEC = {_find_codec(name): name for name in TITLES} | {"ascii": "utf-8"}
