"""Generates the settings reference: the table in ``docs/settings.md`` and ``docker/.env.example``.

``python -m common.settings.reference`` writes both; a test checks that they match the class.
"""

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from common.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / "docker" / ".env.example"
TABLE_BEGINS, TABLE_ENDS = "<!-- table: begin -->\n", "<!-- table: end -->\n"

COMPOSE_OWN = """\
# Passwords of the services that compose.yaml starts. All three are required; use letters and digits only.
POSTGRES_PASSWORD=
REDIS_PASSWORD=
S3_PASSWORD=
# Directory with the model directories on the host; mounted in the press as /models.
#MODELS_DIRECTORY=./models
"""


def render_table() -> str:
    """Return the Markdown table of all settings, in the order of the class."""
    rows = ["| variable | default | description |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{PREFIX}{name.upper()}` | {_format_default(field.default)} | {field.description} |")
    return "\n".join(rows) + "\n"


def render_example() -> str:
    """Return an env file with empty passwords and every setting commented out at its default."""
    lines = [
        COMPOSE_OWN,
        "# Every setting of Pressroom with its default. compose.yaml sets the addresses of the services.",
    ]
    for name, field in Settings.model_fields.items():
        default = _format_default(field.default).strip("`")
        lines += [f"# {field.description}".replace("`", ""), f"#{PREFIX}{name.upper()}={default}"]
    return "\n".join(lines) + "\n"


def insert_table(page: str) -> str:
    """Return *page* with the table between its two marks written again."""
    before, _, rest = page.partition(TABLE_BEGINS)
    _, _, after = rest.partition(TABLE_ENDS)
    return before + TABLE_BEGINS + render_table() + TABLE_ENDS + after


def _format_default(value: Any) -> str:
    if value is PydanticUndefined or value is None or value == ():
        return ""
    return f"`{','.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


if __name__ == "__main__":
    EXAMPLE.write_text(render_example(), encoding="utf-8")
    TABLE.write_text(insert_table(TABLE.read_text(encoding="utf-8")), encoding="utf-8")
