"""JSON Pointers (RFC 6901) to places in a body, shortened to limit how much input is echoed."""

LONGEST_PART = 64
LONGEST_POINTER = 200


def join_pointer(pointer: str, part: str | int) -> str:
    """Return the pointer to *part* within *pointer*."""
    escaped = str(part)[:LONGEST_PART].replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{escaped}"[:LONGEST_POINTER]


def quote_shortened(text: str) -> str:
    """Return *text* in quotes, truncated to a length that is safe to echo."""
    return repr(text if len(text) <= LONGEST_PART else f"{text[:LONGEST_PART]}…")
