"""JSON Schema patterns of text fields."""

from common.jobs.prompt_text import INVISIBLE
from common.jobs.styles import STYLE_NAME

PROMPT_PATTERN = rf"^[^\u0000]*[^{INVISIBLE}][^\u0000]*$"
"""Pattern of a prompt: no NUL and at least one visible character."""

PLAIN_PATTERN = r"^[^\u0000]*$"


STYLE_REFERENCE = rf"^{STYLE_NAME}(@[1-9][0-9]{{0,8}})?$"
