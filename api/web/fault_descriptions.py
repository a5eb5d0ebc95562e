"""Describes pydantic's errors in sentences that say what to send instead."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails, to_json

from api.web.field_synonyms import suggest_field
from api.web.problems import quote_shortened

SHOULD = re.compile(r"^(Input|Value|String|Datetime) should ")
LEADING_ZEROS = re.compile(r"(?<![0-9.])0+(?=[0-9])")
NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")

SENTENCES: dict[str, str] = {
    "missing": "is required",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_pattern_mismatch": "contains characters that are not allowed, or is too long",
    "too_long": "must have at most {max_length} entries",
}
"""Messages for pydantic errors; they follow the field name and do not echo its value."""

OBJECTS = frozenset({"model_type", "model_attributes_type", "dict_type"})
NUMBERS = frozenset({"int_type", "float_type", "bool_type"})


def describe_fault(
    found: ErrorDetails,
    names: Mapping[str, Any],
    model: type[BaseModel] | None = None,
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """Return a description of a field's error.

    *names* are the candidates for a suggestion, then those *elsewhere*, of which the places are given; *model* is the
    object that the field must be, if it must be one.
    """
    kind, value = found["type"], found.get("input")
    if kind == "extra_forbidden":
        meant = suggest_field(str(found["loc"][-1]), names, elsewhere)
        return f"is unknown; did you mean {quote_shortened(meant)}?" if meant else "is unknown"
    if kind in OBJECTS:
        return f"must be an object{f', such as {build_example(model)}' if model is not None else ''}"
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'must be a string; write "{to_json(value).decode()[:32]}", in quotes'
    if kind in NUMBERS and isinstance(value, str) and _is_spelled(kind, value):
        return f"must not be a string; write {LEADING_ZEROS.sub('', value.lower())}, without quotes"
    if kind in SENTENCES:
        return SENTENCES[kind].format(**found.get("ctx", {}))
    return SHOULD.sub("must ", found["msg"])[:200]


@cache
def build_example(model: type[BaseModel]) -> str:
    """Return an object of *model* as JSON: its required fields, or its first if it has none."""
    schema = model.model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    wanted = schema.get("required") or [next(iter(properties))]
    return to_json({name: _find_example(properties[name]) for name in wanted}).decode()


def _find_example(field: dict[str, Any]) -> object:
    choices = [field, *field.get("anyOf", ())]
    examples = [value for each in choices for value in (*each.get("examples", ()), *each.get("enum", ()))]
    return examples[0] if examples else {"integer": 1, "number": 1.0, "boolean": True}.get(field.get("type", ""), "…")


def _is_spelled(kind: str, value: str) -> bool:
    if kind == "bool_type":
        return value.lower() in ("true", "false")
    return NUMBER.fullmatch(value) is not None
