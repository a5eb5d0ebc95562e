"""The same order for a shell or a program: what a page has made can be asked for again from elsewhere."""

import json
from typing import Any, NamedTuple

from api.jobs.schemas import Request


class Recipes(NamedTuple):
    """A request as others would send it."""

    curl: str
    python: str


def write_recipes(request: Request, base_url: str) -> Recipes:
    """Return the recipes for *request*; the key is left to whoever uses them."""
    # By which policy it was judged is for the service to say, and for a request only to make stricter.
    asked = request.model_dump(mode="json", exclude={"safety"})
    wish = {name: value for name, value in asked.items() if value not in (None, [], "")}
    return Recipes(_write_curl(wish, base_url), _write_python(wish, base_url))


def _write_curl(wish: dict[str, Any], base_url: str) -> str:
    # Within single quotes a shell reads everything as it is but the quote itself.
    body = json.dumps(wish, indent=2, ensure_ascii=False).replace("'", "'\\''")
    return (
        f"curl -s {base_url}/v1/jobs \\\n"
        '  -H "Authorization: Bearer $PRESSROOM_API_KEY" \\\n'
        "  -H 'Content-Type: application/json' -H 'Prefer: wait=60' \\\n"
        f"  -d '{body}'\n"
    )


def _write_python(wish: dict[str, Any], base_url: str) -> str:
    lines = "".join(f"        {name!r}: {value!r},\n" for name, value in wish.items())
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
