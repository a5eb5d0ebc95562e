"""The blueprint of the console, and the decorator that registers a view with its scope."""

from collections.abc import Callable
from dataclasses import dataclass
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

FORM_ATTRIBUTE = "pressroom_form"
"""The view attribute that holds the ``FormPage`` of what a form posts to."""


def name_first_part(pointer: str) -> str:
    """Return the field that a JSON Pointer names: the first of its parts."""
    return pointer.removeprefix("/").partition("/")[0]


@dataclass(frozen=True)
class FormPage:
    """The page that a form is on, which is shown again if the form is refused."""

    view: str
    """The page, named ``section:view``; it takes no other arguments than the view that the form posts to."""

    name_field: Callable[[str], str] = name_first_part
    """Returns the form's name of the field that a JSON Pointer names."""


blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates")


def register_page(
    rule: str, scope: Scope | None, *, post: bool = False, live: bool = False, form: FormPage | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Serve a view at *rule* to visitors whose key has *scope*; with None, to everyone.

    If the view takes a form, *form* is the page that shows it again when it is refused.
    """

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        module = view.__module__.removeprefix("api.console.").removeprefix("pages.")
        vars(view)[SCOPE_ATTRIBUTE], vars(view)[LIVE_ATTRIBUTE], vars(view)[SECTION_ATTRIBUTE] = (
            scope,
            live,
            module.partition(".")[0],
        )
        vars(view)[FORM_ATTRIBUTE] = form
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


def get_form_page(view: Callable[..., object] | None) -> FormPage | None:
    """Return the page of the form that a view takes; None if it takes none."""
    return cast("FormPage | None", vars(view).get(FORM_ATTRIBUTE)) if view is not None else None
