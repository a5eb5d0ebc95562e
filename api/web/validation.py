"""What all input has in common: strict models, and one way from what pydantic finds to the faults of a problem."""

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Self, TypeVar
from uuid import UUID

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from api.web.errors import RefusedError, refuse
from api.web.json_pointer import join, shorten
from api.web.problems import PROBLEMS, Fault
from common.ids import parse_id

T = TypeVar("T")

CODES = {
    "extra_forbidden": "unknown_field",
    "missing": "required",
    "string_too_long": "too_long",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "multiple_of": "out_of_range",
    "finite_number": "out_of_range",
    "enum": "enum",
    "literal_error": "enum",
}
"""Our code for pydantic's; every other finding is about the type."""

NOT_CONFIGURABLE = frozenset({"safety", "safety_checker", "enable_safety_checker", "safety_policy", "moderation"})
RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,15}")


def _without_nulls(schema: dict[str, Any]) -> None:
    """Say of each optional field that it may be left out, and not that it may be null."""
    for name, field in schema.get("properties", {}).items():
        if field.get("default", ...) is None:
            del field["default"]
        choices = [choice for choice in field.get("anyOf", []) if choice.get("type") != "null"]
        if len(choices) == 1:
            rest = {key: value for key, value in field.items() if key != "anyOf"}
            schema["properties"][name] = choices[0] | rest


class Body(BaseModel):
    """The object of a JSON body; a field is left out or valid, never null."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra=_without_nulls)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: Any) -> Any:
        if value is None:
            raise PydanticCustomError("type", "must not be null; leave the field out instead")
        return value

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the model; raise RefusedError with every fault."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=True, include_input=False)
            if any(map(_asks_for_less, found)):
                raise RefusedError("safety_not_configurable", "Every image passes the safety check.") from None
            raise refuse([cls._describe(fault) for fault in found[:50]]) from None

    @classmethod
    def _describe(cls, found: ErrorDetails) -> Fault:
        pointer = ""
        for part in (part for part in found["loc"] if part != "[key]"):
            pointer = join(pointer, part)
        names = cls.model_fields if len(found["loc"]) == 1 else {}  # those of an inner object are not ours
        return Fault(code=cls.code_of(found), detail=describe(found, names), pointer=pointer)

    @classmethod
    def code_of(cls, found: ErrorDetails) -> str:
        """Return our code for what pydantic found; models refine it for fields of their own."""
        kind = found["type"]
        return kind if kind in PROBLEMS else CODES.get(kind, "type")


def _asks_for_less(fault: ErrorDetails) -> bool:
    """Tell whether a field was to switch the check off: one that we lack, or ``safety`` as anything but a policy."""
    place = fault["loc"]
    if not place or str(place[0]) not in NOT_CONFIGURABLE:
        return False
    return fault["type"] == "extra_forbidden" or len(place) == 1


class Query(BaseModel):
    """The query parameters of a route, each given once at most."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_without_nulls)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the model; raise RefusedError with every fault."""
        repeated = [name for name, values in request.args.lists() if len(values) > 1]
        if repeated:
            detail = "must be given once"
            raise refuse([Fault(code="invalid_parameter", detail=detail, parameter=name[:64]) for name in repeated])
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[:50]
            names = {field.alias or name: field for name, field in cls.model_fields.items()}
            raise refuse(
                [
                    Fault(
                        code="invalid_parameter",
                        detail=describe(fault, names),
                        parameter=str(fault["loc"][0])[:64] if fault["loc"] else None,
                    )
                    for fault in found
                ]
            ) from None


class Path(BaseModel):
    """The variable parts of a path; what does not fit names nothing."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the model; raise RefusedError with ``not_found``, as for an id that nothing has."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError:
            raise not_found() from None


class Header(BaseModel):
    """The request headers that a route reads; others pass."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra=_without_nulls)

    @classmethod
    def model_json_schema(cls, *given: Any, **options: Any) -> dict[str, Any]:
        """Return the schema; for flask-openapi, which asks for it in every request, one that was made before."""
        return super().model_json_schema(*given, **options) if given or options else _schema_of(cls)


@cache
def _schema_of(header: type[Header]) -> dict[str, Any]:
    return super(Header, header).model_json_schema()


def not_found() -> RefusedError:
    """Return the one answer for what is missing and for what is another owner's."""
    return RefusedError("not_found", "There is nothing with this id.")


SENTENCES: dict[str, str] = {
    "missing": "is required",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_pattern_mismatch": "has characters that are not allowed, or too many",
    "too_long": "must have at most {max_length} entries",
}
"""Words for what pydantic found; they follow the name of the field and echo nothing of its value."""


def describe(found: ErrorDetails, names: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, in words; *names* are those that the field may have meant."""
    if found["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(found["loc"][-1])[:64], names, n=1)
        return f"is unknown; did you mean {shorten(close[0])}?" if close else "is unknown"
    if found["type"] in SENTENCES:
        return SENTENCES[found["type"]].format(**found.get("ctx", {}))
    return re.sub(r"^(Input|Value|String|Datetime) should ", "must ", found["msg"])[:200]


def _read_id(value: Any) -> UUID:
    found = value if isinstance(value, UUID) else parse_id(value)
    # An upper-case spelling is no second name of the same thing.
    if found is None or str(found) != str(value):
        raise ValueError("not an id")
    return found


def _read_whole_number(value: Any) -> int:
    if isinstance(value, int):
        return value
    # int() would also take "１２", "1_000" and " 12 ".
    if not (isinstance(value, str) and value.isascii() and WHOLE_NUMBER.fullmatch(value)):
        raise PydanticCustomError("int_parsing", "must be a whole number")
    return int(value)


def _accept_fraction_of_zero(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_time(value: Any) -> datetime:
    # pydantic would also take Unix seconds, dates and times of no zone.
    if not (isinstance(value, str) and RFC_3339.fullmatch(value)):
        raise PydanticCustomError("datetime_parsing", "must be a time as in 2026-05-01T00:00:00Z")
    try:
        read = datetime.fromisoformat(value.upper())
    except ValueError:
        raise PydanticCustomError("datetime_parsing", "is no time of the calendar") from None
    try:
        return read.astimezone(UTC)
    except OverflowError:  # year 1 or 9999, and UTC lies beyond it
        return read.replace(tzinfo=UTC)


Id = Annotated[UUID, BeforeValidator(_read_id)]
"""The id of a job or an image, in its canonical form."""

Whole = BeforeValidator(_accept_fraction_of_zero)
"""Takes 512.0 for 512, which JSON Schema holds to be the same."""

Moment = Annotated[datetime, BeforeValidator(_read_time)]
"""A time in a query parameter, as RFC 3339 spells it."""

Parsed = BeforeValidator(_read_whole_number)
"""Reads a whole number from a query parameter, of digits only."""
