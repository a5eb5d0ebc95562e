"""Code snippets that repeat a request from curl or Python."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from api.jobs.schemas import Request


class CodeSnippets(NamedTuple):
    """A request as curl and Python code."""

    curl: str
    python: str


def render_snippets(request: Request, palette: Sequence[str], base_url: str) -> CodeSnippets:
    """Return the snippets for *request* with the target colours *palette*; the API key is a placeholder."""
    # The resolved safety policy is left out: it belongs to the service, and a request may only make it stricter.
    asked = request.model_dump(mode="json", exclude={"safety"}) | {"palette": [*palette]}
    fields = {name: value for name, value in asked.items() if value not in (None, [], "")}
    return CodeSnippets(_render_curl(fields, base_url), _render_python(fields, base_url))


def _render_curl(fields: dict[str, Any], base_url: str) -> str:
    # Within single quotes a shell interprets only the quote itself.
    body = json.dumps(fields, indent=2, ensure_ascii=False).replace("'", "'\\''")
    return (
        # From a pipe: the arguments of a process can be read by every user of the machine.
        "printf 'Authorization: Bearer %s' \"$PRESSROOM_API_KEY\" |\n"
        f"  curl -s {base_url}/v1/jobs -H @- \\\n"
        "  -H 'Content-Type: application/json' -H 'Prefer: wait=60' \\\n"
        f"  -d '{body}'\n"
    )


def _render_python(fields: dict[str, Any], base_url: str) -> str:
    lines = "".join(f"        {name!r}: {value!r},\n" for name, value in fields.items())
    return (
        "import os\n\nimport requests\n\n"
        f'answer = requests.post(\n    "{base_url}/v1/jobs",\n'
        "    headers={\n"
        '        "Authorization": f"Bearer {os.environ[\'PRESSROOM_API_KEY\']}",\n'
        '        "Prefer": "wait=60",\n    },\n'
        f"    json={{\n{lines}    }},\n    timeout=90,\n)\n"
        "answer.raise_for_status()\n"
        'for image in answer.json()["images"]:\n    print(image["url"])\n'
    )
