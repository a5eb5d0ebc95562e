"""The one blueprint of all pages, and how a view says who may open it."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from flask import Blueprint

from api.auth.bearer import needs
from common.keys import Scope

P = ParamSpec("P")
R = TypeVar("R")

MARK = "pressroom_page"
SECTION = "pressroom_section"
"""The attribute of a view that names its section: the module or package of ``pages`` that it is in."""

LIVE = "pressroom_live"
"""The attribute of a view that is asked again and again by pages that are left open."""

PAGES = "api.console.pages."

blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates")


def page(
    rule: str, scope: Scope | None, *, post: bool = False, live: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Serve a view at *rule* to whoever is signed in with a key that has *scope*; None: to everyone."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        module = view.__module__.removeprefix(PAGES)
        vars(view)[MARK], vars(view)[LIVE], vars(view)[SECTION] = scope, live, module.partition(".")[0]
        # The api itself asks for no key here: whoever opens a page has signed in, which the console sees to.
        needs(None)(view)
        endpoint = f"{module.replace('.', '_')}:{view.__name__}"
        blueprint.add_url_rule(rule, endpoint, cast("Any", view), methods=["POST" if post else "GET"])
        return view

    return mark


def scope_of(view: Callable[..., object]) -> Scope | None:
    """Return the scope that a page needs; KeyError if nobody has said."""
    return cast("Scope | None", vars(view)[MARK])


def section_of(view: Callable[..., object] | None) -> str | None:
    """Return the section of the navigation that a view belongs to; None for what is no page."""
    return cast("str | None", vars(view).get(SECTION)) if view is not None else None


def is_live(view: Callable[..., object]) -> bool:
    """Tell whether a view is the part of a page that keeps itself up to date."""
    return bool(vars(view)[LIVE])
