"""Build links between pages, including the path prefix of the API."""

from typing import Any

from flask import redirect as answer_redirect, url_for
from werkzeug.wrappers import Response

from api.runtime.context import current_context


def build_page_url(endpoint: str, **values: Any) -> str:
    """Return the URL of a page, named ``section:view``."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return current_context().path_prefix + url_for(f"console.{endpoint}", **given)


def redirect_to(endpoint: str, **values: Any) -> Response:
    """Redirect to a page after a form (303), so that a reload does not submit it again."""
    return answer_redirect(build_page_url(endpoint, **values), 303)
