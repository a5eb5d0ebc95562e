"""Places in a JSON body, as JSON Pointers (RFC 6901) that echo no more of the input than is useful."""

LONGEST_PART = 64
LONGEST_POINTER = 200


def join(pointer: str, part: str | int) -> str:
    """Return the pointer to *part* of what *pointer* names."""
    escaped = str(part)[:LONGEST_PART].replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{escaped}"[:LONGEST_POINTER]


def shorten(text: str) -> str:
    """Return *text* in quotes, cut to a length that may be echoed."""
    return repr(text if len(text) <= LONGEST_PART else f"{text[:LONGEST_PART]}…")
