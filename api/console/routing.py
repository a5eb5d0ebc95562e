"""The blueprint of the console, and the decorator that registers a view with its scope."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from flask import Blueprint

from api.auth.bearer import scope_required
from common.access.keys import Scope

P = ParamSpec("P")
R = TypeVar("R")

SCOPE_ATTRIBUTE = "pressroom_page"
SECTION_ATTRIBUTE = "pressroom_section"
"""The view attribute with its section: its module or package in ``pages``."""

LIVE_ATTRIBUTE = "pressroom_live"
"""The view attribute that marks live fragments, which open pages poll."""

blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates")


def register_page(
    rule: str, scope: Scope | None, *, post: bool = False, live: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Serve a view at *rule* to visitors whose key has *scope*; with None, to everyone."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        module = view.__module__.removeprefix("api.console.").removeprefix("pages.")
        vars(view)[SCOPE_ATTRIBUTE], vars(view)[LIVE_ATTRIBUTE], vars(view)[SECTION_ATTRIBUTE] = (
            scope,
            live,
            module.partition(".")[0],
        )
        # The bearer check is off here: the console authenticates its pages by session cookie.
        scope_required(None)(view)
        endpoint = f"{module.replace('.', '_')}:{view.__name__}"
        # Otherwise the router would send /console to /console/, without the prefix and scheme of the public URL.
        method = "POST" if post else "GET"
        blueprint.add_url_rule(rule, endpoint, cast("Any", view), methods=[method], strict_slashes=False)
        return view

    return mark


def get_page_scope(view: Callable[..., object]) -> Scope | None:
    """Return the scope that a page requires; raise KeyError if none was declared."""
    return cast("Scope | None", vars(view)[SCOPE_ATTRIBUTE])


def get_page_section(view: Callable[..., object] | None) -> str | None:
    """Return the navigation section of a view; None if it is not a page."""
    return cast("str | None", vars(view).get(SECTION_ATTRIBUTE)) if view is not None else None


def is_live_view(view: Callable[..., object]) -> bool:
    """Return whether a view is a live fragment."""
    return bool(vars(view)[LIVE_ATTRIBUTE])
