"""Links from page to page, under whatever path the api is reached."""

from typing import Any

from flask import redirect as answer_redirect, url_for
from werkzeug.wrappers import Response

from api.runtime.context import services


def link(endpoint: str, **values: Any) -> str:
    """Return the link to a page, named ``section:view``."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return services().path_prefix + url_for(f"console.{endpoint}", **given)


def lead_to(endpoint: str, **values: Any) -> Response:
    """Answer a form by leading to a page, which a reload then asks for again without the form."""
    return answer_redirect(link(endpoint, **values), 303)
