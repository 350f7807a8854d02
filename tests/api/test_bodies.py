"""The one reader of bodies: what it takes, and everything hostile that it refuses."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.bodies import DEPTH_MAX, fingerprint, read_json
from app.errors import MalformedJson


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b"{'a':1}", id="not JSON"),
        pytest.param(b'{"a":1} {"a":1}', id="two values"),
        pytest.param(b'{"amount":NaN}', id="NaN"),
        pytest.param(b'{"amount":-Infinity}', id="infinity"),
        pytest.param(b'{"amount":1e999}', id="a number without end"),
        pytest.param(b'{"amount":1,"amount":2}', id="two equal keys"),
        pytest.param(b'{"a":{"b":1,"b":1}}', id="two equal keys below"),
        pytest.param(b'{"amount":1,"\\u0061mount":2}', id="two keys equal after escapes"),
        pytest.param(b'{"a":"\\ud800"}', id="a lone surrogate"),
        pytest.param(b'{"\\udfff":1}', id="a lone surrogate in a key"),
        pytest.param(b'{"a":"\\u0000"}', id="NUL"),
        pytest.param(b'{"a\\u0000":1}', id="NUL in a key"),
        pytest.param(b'["a\x00"]', id="NUL as it is"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 33 + b"]" * 33, id="33 levels"),
        pytest.param(b"[" * 500_000, id="levels without end"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep objects"),
        pytest.param(b"9" * 100_000, id="an integer of 100,000 digits"),
    ],
)
def test_what_is_not_plain_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedJson):
        read_json(raw)


def test_the_deepest_body_that_is_read_has_32_levels() -> None:
    assert read_json(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX).value is not None


def test_brackets_and_escapes_in_texts_are_only_text() -> None:
    text = "[{" * 100 + '\\u0000 "剪发" 😀'
    assert read_json(json.dumps([text]).encode()).value == [text]


def test_an_integer_with_a_fraction_of_zero_is_that_integer() -> None:
    body = read_json(b'{"amount": 8000.0}')
    assert body.value == {"amount": 8000}
    assert body.canonical == read_json(b'{"amount":8000}').canonical


def test_the_fingerprint_knows_method_path_and_fields_but_not_their_order() -> None:
    one, other = read_json(b'{"a":1,"b":"\\u526a"}'), read_json('{ "b":"剪", "a":1 }'.encode())
    assert fingerprint("POST", "/v1/x", one) == fingerprint("POST", "/v1/x", other)
    assert fingerprint("POST", "/v1/x", one) != fingerprint("POST", "/v1/y", one)
    assert fingerprint("POST", "/v1/x", one) != fingerprint("PUT", "/v1/x", one)
    assert fingerprint("POST", "/v1/x", one) != fingerprint("POST", "/v1/x", read_json(b"{}"))


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS,
    lambda values: st.lists(values) | st.dictionaries(_TEXTS, values),
    max_leaves=20,
)


@given(_VALUES)
def test_every_plain_value_is_read_as_it_was_written(value: object) -> None:
    assert read_json(json.dumps(value).encode()).value == value


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    with contextlib.suppress(MalformedJson):
        read_json(raw)
