"""How a style is put on: a wish keeps what it says itself, and the style says the rest."""

from dataclasses import dataclass
from typing import TypeVar

from api import texts
from api.runtime.context import services
from api.schemas.jobs import NewJob
from api.schemas.looks import UNKNOWN_STYLE, Look, NewAdapter
from api.web.errors import refuse
from api.web.problems import Fault
from common.jobs import styles
from common.jobs.styles import StyleSpec, UnknownStyleError

L = TypeVar("L", bound=Look)


@dataclass(frozen=True)
class Worn:
    """A style that a wish has named: what always means this version of it, and what it says."""

    reference: str
    spec: StyleSpec


def find(owner: str, reference: str, pointer: str = "/style") -> Worn:
    """Return the style that *owner* means; raise RefusedError with ``unknown_style`` at *pointer*."""
    try:
        with services().database.reading() as session:
            return Worn(*styles.resolve(session, owner, reference))
    except UnknownStyleError as error:
        raise refuse([Fault(code=error.code, detail=UNKNOWN_STYLE, pointer=pointer)]) from None


def dress(wish: NewJob, owner: str) -> tuple[str | None, NewJob]:
    """Return the version of the style that *wish* names, if any, and the wish with all that this version says."""
    if wish.style is None:
        return None, wish
    worn = find(owner, wish.style)
    prompt = worn.spec.wrap(wish.prompt)
    if len(prompt) > texts.LONGEST_PROMPT:
        detail = f"must have at most {texts.LONGEST_PROMPT} characters together with the words of its style"
        raise refuse([Fault(code="too_long", detail=detail, pointer="/prompt")])
    return worn.reference, fill(wish, worn.spec).model_copy(update={"prompt": prompt})


def fill(wish: L, spec: StyleSpec) -> L:
    """Return *wish* with what *spec* says of the fields that the wish leaves open; its words are not touched."""
    said = {name: value for name, value in spec if value is not None and name in Look.model_fields}
    if spec.adapters is not None:
        said["adapters"] = [NewAdapter.model_construct(**adapter.model_dump()) for adapter in spec.adapters]
    return wish.model_copy(update={name: value for name, value in said.items() if getattr(wish, name) is None})
