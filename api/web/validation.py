"""Base models of all input, and the conversion of pydantic errors to the faults of a problem."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Self, TypeVar, Union, get_args, get_origin
from uuid import UUID

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from api.web.errors import MOST_FAULTS, RefusedError, refuse_request
from api.web.fault_descriptions import describe_fault
from api.web.problems import PROBLEMS, FieldError, join_pointer
from common.db.ids import parse_id
from common.jobs.prompt_text import INVISIBLE
from common.jobs.styles import STYLE_NAME

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
"""Our error codes by pydantic's; every other error gets the code ``type``."""

RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,15}")

PROMPT_PATTERN = rf"^[^\u0000]*[^{INVISIBLE}][^\u0000]*$"
"""Pattern of a prompt: no NUL and at least one visible character."""

PLAIN_PATTERN = r"^[^\u0000]*$"

STYLE_REFERENCE = rf"^{STYLE_NAME}(@[1-9][0-9]{{0,8}})?$"


def _drop_null_types(schema: dict[str, Any]) -> None:
    """Describe optional fields as omittable rather than nullable."""
    for name, field in schema.get("properties", {}).items():
        if field.get("default", ...) is None:
            del field["default"]
        choices = [choice for choice in field.get("anyOf", []) if choice.get("type") != "null"]
        if len(choices) == 1:
            rest = {key: value for key, value in field.items() if key != "anyOf"}
            schema["properties"][name] = choices[0] | rest


class Body(BaseModel):
    """A JSON request body; fields may be omitted but not null."""

    hints: ClassVar[Mapping[str, str]] = {}
    """What to do instead of sending a field, by the names that clients try."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra=_drop_null_types)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: Any) -> Any:
        if value is None:
            raise PydanticCustomError("type", "must not be null; leave the field out instead")
        return value

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the validated model; raise RefusedError with its faults, of which no more than 50 are told."""
        try:
            return super().model_validate(cls._drop_unknown_fields(obj), **options)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=True, include_input=True)
            whole = next((fault for fault in found if not fault["loc"]), None)
            if whole is not None:  # the body as a whole was refused, and not for one of its fields
                raise RefusedError(Body.code_of(whole), whole["msg"]) from None
            raise refuse_request([cls._describe(fault) for fault in found[:MOST_FAULTS]]) from None

    @classmethod
    def _drop_unknown_fields(cls, obj: Any) -> Any:
        """Return *obj* without the unknown fields that would not be told: each is slow to describe."""
        if not isinstance(obj, dict) or len(obj) <= len(cls.model_fields) + MOST_FAULTS:
            return obj
        known = {field.alias or name for name, field in cls.model_fields.items()}
        untold = set([name for name in obj if name not in known][MOST_FAULTS:])
        return {name: value for name, value in obj.items() if name not in untold}

    @classmethod
    def _describe(cls, found: ErrorDetails) -> FieldError:
        pointer = ""
        for part in (part for part in found["loc"] if part != "[key]"):
            pointer = join_pointer(pointer, part)
        *above, _ = found["loc"]
        holder = _find_model(cls, above)
        names = holder.model_fields if holder else {}
        if holder and found["type"] == "extra_forbidden" and (hint := holder.hints.get(str(found["loc"][-1]))):
            return FieldError(code=cls.code_of(found), detail=f"is unknown; {hint}", pointer=pointer)
        elsewhere = {} if holder is None else _find_other_fields(cls, holder)
        detail = describe_fault(found, names, _find_model(cls, found["loc"]), elsewhere)
        return FieldError(code=cls.code_of(found), detail=detail, pointer=pointer)

    @classmethod
    def code_of(cls, found: ErrorDetails) -> str:
        """Return our error code for a pydantic error; models refine it for their own fields."""
        kind = found["type"]
        return kind if kind in PROBLEMS else CODES.get(kind, "type")


def _find_model(model: type[Body], place: Sequence[int | str]) -> type[Body] | None:
    """Return the model of the object at *place* within the body that *model* describes; None if there is not one."""
    found: type[Body] | None = model
    for part in place:
        if found is None or (isinstance(part, str) and part not in found.model_fields):
            return None
        if isinstance(part, str):
            found = _get_body_type(found.model_fields[part].annotation)
    return found


@cache
def _find_other_fields(model: type[Body], holder: type[Body]) -> dict[str, str]:
    """Return the places of the fields in objects of *holder*, and of those beside it in the body that is a *model*."""
    places = {name: name for name in model.model_fields} if model is not holder else {}
    for name, field in holder.model_fields.items():
        if get_origin(field.annotation) not in (Union, UnionType):
            inner = field.annotation
        else:
            inner = next((part for part in get_args(field.annotation) if part is not NoneType), None)
        if isinstance(inner, type) and issubclass(inner, Body):
            places |= {each: f"{name}/{each}" for each in inner.model_fields}
    return places


def _get_body_type(annotation: Any) -> type[Body] | None:
    """Return the model in an annotation such as ``list[NewVariant] | None``."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, Body) else None
    return next((found for part in get_args(annotation) if (found := _get_body_type(part)) is not None), None)


class Query(BaseModel):
    """The query parameters of a route, each given at most once."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_drop_null_types)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the validated model; raise RefusedError with every fault."""
        repeated = [name for name, values in request.args.lists() if len(values) > 1]
        if repeated:
            detail = "must be given only once"
            raise refuse_request(
                [FieldError(code="invalid_parameter", detail=detail, parameter=name[:64]) for name in repeated]
            )
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[:50]
            names = {field.alias or name: field for name, field in cls.model_fields.items()}
            raise refuse_request(
                [
                    FieldError(
                        code="invalid_parameter",
                        detail=describe_fault(fault, names),
                        parameter=str(fault["loc"][0])[:64] if fault["loc"] else None,
                    )
                    for fault in found
                ]
            ) from None


class Path(BaseModel):
    """The path parameters of a route; an invalid value is reported as ``not_found``."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the validated model; raise RefusedError with ``not_found``, as for an unknown ID."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError:
            raise refuse_not_found() from None


class Header(BaseModel):
    """The request headers that a route reads; other headers are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra=_drop_null_types)

    @classmethod
    def model_json_schema(cls, *given: Any, **options: Any) -> dict[str, Any]:
        """Return the schema; cached, because flask-openapi asks for it on every request."""
        return super().model_json_schema(*given, **options) if given or options else _get_header_schema(cls)


@cache
def _get_header_schema(header: type[Header]) -> dict[str, Any]:
    return super(Header, header).model_json_schema()


def refuse_not_found() -> RefusedError:
    """Return the error for a missing resource, which is the same for one of another owner."""
    return RefusedError("not_found", "No resource with this ID exists.")


def _parse_id(value: Any) -> UUID:
    found = value if isinstance(value, UUID) else parse_id(value)
    # Each ID has one canonical form, in lower case.
    if found is None or str(found) != str(value):
        raise ValueError("not an id")
    return found


def _parse_whole_number(value: Any) -> int:
    if isinstance(value, int):
        return value
    # int() would also accept "１２", "1_000" and " 12 ".
    if not (isinstance(value, str) and value.isascii() and WHOLE_NUMBER.fullmatch(value)):
        raise PydanticCustomError("int_parsing", "must be a whole number")
    return int(value)


def _accept_fraction_of_zero(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parse_time(value: Any) -> datetime:
    # pydantic would also accept Unix seconds, dates and times without a time zone.
    if not (isinstance(value, str) and RFC_3339.fullmatch(value)):
        raise PydanticCustomError("datetime_parsing", "must be a time such as 2026-05-01T00:00:00Z")
    try:
        read = datetime.fromisoformat(value.upper())
    except ValueError:
        raise PydanticCustomError("datetime_parsing", "is not a valid date and time") from None
    try:
        return read.astimezone(UTC)
    except OverflowError:  # year 1 or 9999, where the UTC time is out of range
        return read.replace(tzinfo=UTC)


Id = Annotated[UUID, BeforeValidator(_parse_id)]
"""A resource ID in canonical form."""

Whole = BeforeValidator(_accept_fraction_of_zero)
"""Accepts 512.0 as 512, which JSON Schema considers equal."""

Moment = Annotated[datetime, BeforeValidator(_parse_time)]
"""A time in RFC 3339 format."""

Parsed = BeforeValidator(_parse_whole_number)
"""Reads a whole number from a query parameter."""
