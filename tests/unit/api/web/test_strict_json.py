"""A JSON body is read as it was meant or not at all."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, strategies

from api.web.errors import RefusedError
from api.web.strict_json import MAX_DEPTH, MAX_KEYS, MAX_VALUES, parse_json_object

TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = strategies.integers() | strategies.floats(allow_nan=False, allow_infinity=False)
VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | NUMBERS | TEXTS,
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def refused(body: bytes | str) -> str:
    with pytest.raises(RefusedError) as caught:
        parse_json_object(body if isinstance(body, bytes) else body.encode())
    return caught.value.code


@given(strategies.dictionaries(TEXTS, VALUES, max_size=4))
def test_every_plain_object_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert parse_json_object(json.dumps(value).encode()) == value
    assert parse_json_object(json.dumps(value, ensure_ascii=False).encode()) == value


@given(strategies.binary(max_size=64))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(RefusedError):
        assert isinstance(parse_json_object(body), dict)


def test_nesting_is_allowed_to_its_limit() -> None:
    assert parse_json_object(b'{"a":' * (MAX_DEPTH - 1) + b"{}" + b"}" * (MAX_DEPTH - 1))
    assert refused('{"a":' * MAX_DEPTH + "{}" + "}" * MAX_DEPTH) == "json_too_deep"


def test_as_many_keys_as_the_limit_are_read() -> None:
    assert len(parse_json_object(json.dumps(dict.fromkeys(map(str, range(MAX_KEYS)), 0)).encode())) == MAX_KEYS
    assert refused(json.dumps(dict.fromkeys(map(str, range(MAX_KEYS + 1)), 0))) == "too_many_keys"


def test_keys_and_items_below_the_top_level_are_counted_together() -> None:
    items = [[0] * (MAX_VALUES // 2), {str(number): 0 for number in range(MAX_VALUES // 2)}]
    assert refused(json.dumps({"a": items})) == "too_many_keys"
    assert parse_json_object(json.dumps({"a": items[0], "b": {}}).encode())


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse_json_object(rb'{"a": "\ud83d\ude00"}') == {"a": "\U0001f600"}


def test_a_byte_order_mark_may_come_first() -> None:
    assert parse_json_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "invalid_json"),
        ('{"a": {"b": 1, "b": 1}}', "duplicate_key"),
        ('[{"a": NaN}]', "invalid_number"),
        ('{"a": -1e400}', "invalid_number"),
        ('{"a": ["\\u0000"]}', "control_character"),
        ('{"a\\u0000": 1}', "control_character"),
        ('{"a": "\\udc00\\ud800"}', "invalid_unicode"),
        ('"text"', "object_required"),
    ],
)
def test_ambiguous_json_is_refused(body: bytes | str, code: str) -> None:
    assert refused(body) == code


def test_the_place_of_a_control_character_is_a_json_pointer() -> None:
    with pytest.raises(RefusedError) as caught:
        parse_json_object(b'{"a/b": [0, {"c~d": "\\u0000"}]}')
    assert caught.value.faults[0].pointer == "/a~1b/1/c~0d"


def test_a_long_key_is_not_echoed_whole() -> None:
    with pytest.raises(RefusedError) as caught:
        parse_json_object(f'{{"{"x" * 500}": 1, "{"x" * 500}": 2}}'.encode())
    assert "x" * 65 not in caught.value.message
