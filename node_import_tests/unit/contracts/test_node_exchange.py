"""Bytes become a request or a rejection, and nothing else."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.node_exchange import (
    MAX_NESTING,
    NodeExchange,
    decode_node_exchange,
    parse_uuid,
)
from node_import.contracts.rejection import Rejection
from node_import.contracts.schemas import load_schema

DOMAIN = "5f0c954e-9a4b-4a53-8f0a-7c8c1c9ab001"
FILE: dict[str, Any] = {"domainId": DOMAIN, "groupId": "g", "filePath": "s3://bucket/key.csv"}
LIST: dict[str, Any] = {"domainId": DOMAIN, "groupId": "g", "referenceIds": ["a", "b"]}


def encode(fields: object) -> bytes:
    return json.dumps(fields).encode()


def code_of(value: bytes | None) -> ErrorCode | None:
    decoded = decode_node_exchange(value)
    return decoded.code if isinstance(decoded, Rejection) else None


def test_a_request_for_a_file() -> None:
    """Fields as sent; what is unknown is kept with the whole and means nothing."""
    fields = {**FILE, "fileName": "f", "contentType": None, "priority": [1.5, {"x": None}]}
    decoded = decode_node_exchange(encode(fields))
    assert decoded == NodeExchange(UUID(DOMAIN), "g", "s3://bucket/key.csv", None, fields)


def test_a_request_for_a_list() -> None:
    """References stand as they are; an empty or overlong one is a matter of its row."""
    references = ["a", "", " b ", "x" * 300, "a", "\U0001f600"]
    decoded = decode_node_exchange(encode({**LIST, "referenceIds": references, "filePath": None}))
    assert isinstance(decoded, NodeExchange)
    assert decoded.reference_ids == tuple(references)
    assert decoded.file_path is None


NOT_JSON: list[bytes | None] = [
    None,
    b"",
    b"   ",
    b"{",
    b"{'a': 1}",
    b'{"a": 1} x',
    b'{"a": "\x00"}',
    b'{"a": "tab\there"}',
    b"\xff",
    b'{"a": "\xc3"}',
    b'{"a": "\xed\xa0\x80"}',
    b"\xef\xbb\xbf" + encode(FILE),
    json.dumps(FILE).encode("utf-16"),
    json.dumps(FILE).encode("utf-16-le"),
    json.dumps(FILE).encode("utf-32"),
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": [-Infinity]}',
    b'{"a": 1e999999}',
    b'{"a": -1e400}',
    b'{"a": ' + b"1" * 5_000 + b"}",
    b'{"a": "\\u0000"}',
    b'{"a\\u0000": 1}',
    b'{"a": [{"b": "\\ud800"}]}',
    b'{"\\udfff": 1}',
    b'{"a": "\\ude00\\ud83d"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":' + b"[" * MAX_NESTING + b"]" * MAX_NESTING + b"}",
]


@pytest.mark.parametrize("value", NOT_JSON)
def test_what_is_no_json_that_can_be_stored(value: bytes | None) -> None:
    """No UTF-8, no JSON, or beyond what jsonb and a sane reader take."""
    assert code_of(value) is ErrorCode.INVALID_JSON


def test_what_is_odd_and_still_in_order() -> None:
    """Surrogate pairs, a backslash before u0000, many brackets side by side, some nesting."""
    assert code_of(encode({**LIST, "referenceIds": ["\U0001f600"]})) is None
    assert code_of(encode({**FILE, "note": "\\u0000 \\ud800"})) is None
    assert code_of(encode({**FILE, "wide": [[]] * 1_000})) is None
    deep: Any = "x"
    for _ in range(MAX_NESTING - 1):
        deep = [deep]
    assert code_of(encode({**FILE, "deep": deep})) is None
    assert code_of(b'{"n": 1e-999999,' + encode(FILE)[1:]) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        "text",
        1,
        None,
        {},
        {**FILE, "domainId": None},
        {**FILE, "domainId": 5},
        {**FILE, "domainId": "acme"},
        {**FILE, "domainId": DOMAIN.replace("-", "")},
        {**FILE, "domainId": f"{{{DOMAIN}}}"},
        {**FILE, "domainId": f"{DOMAIN}\n"},
        {**FILE, "domainId": DOMAIN.replace("0", "٠")},
        {**FILE, "groupId": None},
        {**FILE, "groupId": ""},
        {**FILE, "groupId": 7},
        {**FILE, "filePath": ""},
        {**FILE, "filePath": ["s3://bucket/key"]},
        {**FILE, "fileName": 1},
        {**FILE, "contentType": {}},
        {**FILE, "referenceIds": []},
        {**LIST, "referenceIds": []},
        {**LIST, "referenceIds": "ref"},
        {**LIST, "referenceIds": {"a": 1}},
        {**LIST, "referenceIds": ["a", None]},
        {**LIST, "referenceIds": ["a", ["b"]]},
        {**LIST, "referenceIds": [True]},
    ],
)
def test_what_is_json_and_no_request(fields: object) -> None:
    """Missing, of another type, or of another form than the contract says."""
    assert code_of(encode(fields)) is ErrorCode.SCHEMA_VIOLATION


def test_a_field_that_counts_stands_once() -> None:
    """Readers differ in which of two they take; an unknown field may repeat."""
    twice = b'{"groupId": "other",' + encode(FILE)[1:]
    assert code_of(twice) is ErrorCode.SCHEMA_VIOLATION
    assert code_of(b'{"x": 1, "x": {"groupId": 1, "groupId": 2},' + encode(FILE)[1:]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {**FILE, **LIST},
        {"domainId": DOMAIN, "groupId": "g"},
        {**FILE, "filePath": None},
        {**LIST, "referenceIds": None, "filePath": None},
    ],
)
def test_both_sources_or_none(fields: dict[str, Any]) -> None:
    """Exactly one of filePath and referenceIds."""
    assert code_of(encode(fields)) is ErrorCode.AMBIGUOUS_SOURCE


def test_reasons_are_for_people() -> None:
    """A reason names the field, or the place."""
    rejection = decode_node_exchange(encode({**FILE, "domainId": "x"}))
    assert rejection == Rejection(ErrorCode.SCHEMA_VIOLATION, "domainId is not a UUID")
    rejection = decode_node_exchange(b'{\n"a" 1}')
    assert isinstance(rejection, Rejection)
    assert "line 2, column 5" in rejection.reason


@given(st.binary(max_size=200))
@example(b'{"a":1e' + b"9" * 5_000 + b"}")
@example(b'{"a":-' + b"9" * 5_000 + b"}")
def test_no_bytes_raise(value: bytes) -> None:
    """Whatever arrives, the answer is a rejection or a request."""
    assert isinstance(decode_node_exchange(value), NodeExchange | Rejection)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
near_requests = st.fixed_dictionaries(
    {},
    optional={
        "domainId": st.just(DOMAIN) | st.just(DOMAIN.upper()) | json_values,
        "groupId": st.text(max_size=3) | json_values,
        "filePath": st.none() | st.text(max_size=3) | json_values,
        "referenceIds": st.none() | st.lists(st.text(max_size=2), max_size=3) | json_values,
        "fileName": st.none() | st.text(max_size=3) | json_values,
        "contentType": st.none() | st.text(max_size=3),
        "other": json_values,
    },
)


@given(near_requests)
def test_decoding_agrees_with_the_published_schema(fields: dict[str, Any]) -> None:
    """What JSON Schema calls valid is accepted, and nothing else (INVALID_JSON aside)."""
    code = code_of(encode(fields))
    if code is not ErrorCode.INVALID_JSON:
        schema = Draft7Validator(load_schema("node_exchange"), format_checker=FormatChecker())
        assert schema.is_valid(fields) == (code is None)


@given(st.uuids())
def test_a_uuid_has_one_form(value: UUID) -> None:
    """Canonical, in either case."""
    assert parse_uuid(str(value)) == parse_uuid(str(value).upper()) == value
    assert parse_uuid(value.hex) is parse_uuid(value.urn) is None
