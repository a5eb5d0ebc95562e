"""Show a refused form again: the page that it is on, with what was typed, and each error at its field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

from flask import current_app, g, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from api.console.access import current_user
from api.console.routing import FormPage, get_form_page, get_page_scope
from api.console.urls import build_page_url
from common.errors import PressroomError


@dataclass(frozen=True)
class FieldFault:
    """An error at a field: the form's name of the field, its label in a sentence, and what is wrong."""

    field: str
    label: str
    detail: str


@dataclass(frozen=True)
class Refusal:
    """Why a request was refused, in the words of a problem of the API."""

    status: int
    title: str
    detail: str
    """Empty if the faults say the same."""
    faults: tuple[FieldFault, ...]
    request_id: str = ""

    @classmethod
    def of(cls, problem: Mapping[str, Any], form: FormPage | None = None) -> Self:
        """Return the refusal that a problem of the API describes."""
        faults = tuple(_read_fault(each, form or FormPage("")) for each in problem.get("errors", ()))
        told = {
            f"{each.get('pointer') or each.get('parameter')} {each['detail']}." for each in problem.get("errors", ())
        }
        is_told = problem["detail"] in told or problem["detail"] == f"{len(faults)} fields are not valid."
        detail = "" if is_told else problem["detail"]
        return cls(problem["status"], problem["title"], detail, faults, problem.get("request_id", ""))


def current_refusal() -> Refusal | None:
    """Return why the form of the current request was refused; None unless its page is being shown again."""
    return cast("Refusal | None", g.get("refusal"))


def show_form_again(problem: Mapping[str, Any]) -> Response | None:
    """Return the page of the refused form with what was typed; None if there is none that the visitor may see."""
    form = get_form_page(current_app.view_functions.get(request.endpoint or ""))
    if form is None or not g.get("is_admitted"):
        return None
    page = current_app.view_functions[f"console.{form.view}"]
    scope = get_page_scope(page)
    if scope is not None and not current_user().may(scope):
        return None
    g.refusal = Refusal.of(problem, form)
    try:
        return cast("Response", page(**_select_page_arguments(form)))
    except (PressroomError, HTTPException):  # the page cannot be shown either: what it is about does not exist
        return None
    finally:
        g.refusal = None


class FormState:
    """What the fields of a form show: what was typed if the form was refused, else their usual values."""

    def __init__(self, *actions: str) -> None:
        """Take the URLs that the form is sent to: its own, and those of its buttons."""
        refusal, paths = current_refusal(), [action.partition("?")[0] for action in actions]
        self._refusal = refusal if refusal is not None and _build_request_url() in paths else None

    @property
    def is_refused(self) -> bool:
        """Return whether it is this form that was refused."""
        return self._refusal is not None

    def value(self, name: str, usual: object = "") -> str:
        """Return the text of a field."""
        text = usual if self._refusal is None else request.form.get(name, "")
        return "" if text is None else str(text)

    def is_chosen(self, name: str, value: object, *, usual: bool) -> bool:
        """Return whether an option, a check box or a radio button with this value is chosen."""
        return usual if self._refusal is None else str(value) in request.form.getlist(name)

    def fault(self, name: str) -> str:
        """Return what is wrong with a field; empty if nothing is."""
        found = () if self._refusal is None else self._refusal.faults
        return "; ".join(fault.detail for fault in found if fault.field == name)

    def marks(self, name: str) -> Markup:
        """Return the attributes of a field by which browsers announce its fault."""
        return (
            Markup(' aria-invalid="true" aria-describedby="fault-{0}"').format(name) if self.fault(name) else Markup("")
        )


def _select_page_arguments(form: FormPage) -> dict[str, Any]:
    """Return those arguments of the current request that are in the path of the form's page too."""
    (rule,) = current_app.url_map.iter_rules(f"console.{form.view}")
    return {name: value for name, value in (request.view_args or {}).items() if name in rule.arguments}


def _build_request_url() -> str:
    return build_page_url(str(request.endpoint).partition(".")[2], **(request.view_args or {}))


def _read_fault(fault: Mapping[str, Any], form: FormPage) -> FieldFault:
    pointer = str(fault.get("pointer") or fault.get("parameter") or "")
    return FieldFault(form.name_field(pointer), _spell_pointer(pointer), str(fault["detail"]))


def _spell_pointer(pointer: str) -> str:
    """Return the label of the field at a JSON Pointer, as readers count and without the parts that say nothing."""
    parts = [str(int(part) + 1) if part.isdecimal() else part for part in pointer.split("/") if part != "defaults"]
    return " ".join(parts).replace("_", " ").strip()
