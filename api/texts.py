"""How a JSON Schema describes texts that a model will read."""

from common.jobs.prompt_text import INVISIBLE, LONGEST_PROMPT, clean, is_blank

__all__ = ["LONGEST_PROMPT", "PLAIN_PATTERN", "PROMPT_PATTERN", "clean", "is_blank"]

PROMPT_PATTERN = rf"^[^\u0000]*[^{INVISIBLE}][^\u0000]*$"
"""A prompt as JSON Schema sees it: no NUL, and something to see."""

PLAIN_PATTERN = r"^[^\u0000]*$"
