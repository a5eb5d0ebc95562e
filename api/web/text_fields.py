"""How a JSON Schema describes texts that a model will read."""

from common.jobs.prompt_text import INVISIBLE
from common.jobs.styles import NAME

PROMPT_PATTERN = rf"^[^\u0000]*[^{INVISIBLE}][^\u0000]*$"
"""A prompt as JSON Schema sees it: no NUL, and something to see."""

PLAIN_PATTERN = r"^[^\u0000]*$"


STYLE_REFERENCE = rf"^{NAME}(@[1-9][0-9]{{0,8}})?$"
