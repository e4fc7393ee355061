"""What a header says, and the order of its faults."""

from __future__ import annotations

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.parsing.header import Header, header_in
from node_import.parsing.rules import ParseRules


def header_of(data: bytes, **rules: object) -> Header:
    header = header_in(data, ParseRules(**rules), last=True)  # type: ignore[arg-type]
    assert header is not None
    return header


def fault_of(data: bytes, **rules: object) -> ErrorCode:
    with pytest.raises(PermanentError) as caught:
        header_of(data, **rules)
    assert caught.value.message.endswith(".")
    return caught.value.code


def test_columns_and_keys() -> None:
    """The reference and the type are columns, the others are metadata keys in file order."""
    header = header_of(b'userName;Type;"E-Mail";ref_id\r\nx')
    assert header == Header(
        raw=b'userName;Type;"E-Mail";ref_id\r\n',
        columns=("user_name", "type", "e_mail", "ref_id"),
        delimiter=";",
        reference_column="ref_id",
        type_column="type",
        metadata_keys=("user_name", "e_mail"),
    )


def test_reference_columns_have_an_order_of_names() -> None:
    """`id` stands first in the file, `external_id` first in the list; `id` becomes metadata."""
    header = header_of(b"id,external_id\n")
    assert header.reference_column == "external_id"
    assert header.metadata_keys == ("id",)


def test_reference_columns_are_a_setting() -> None:
    """A deployment may name its reference column otherwise."""
    header = header_of(b"id,sku\n", reference_columns=("sku",))
    assert header.reference_column == "sku"


def test_a_quoted_name_may_span_lines() -> None:
    """A line end within quotes is text, and so a separator of words."""
    header = header_of(b'id,"first\r\nname"\n1,2\n')
    assert header.columns == ("id", "first_name")
    assert header.raw == b'id,"first\r\nname"\n'


def test_empty_names_get_a_number() -> None:
    """Position counts from 1."""
    assert header_of(b"id,,x,\n").columns == ("id", "column_2", "x", "column_4")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"id,\xff\n", ErrorCode.UNSUPPORTED_ENCODING),
        (b"id,\0\n", ErrorCode.UNSUPPORTED_ENCODING),
        (b'id,"a"b\n', ErrorCode.SCHEMA_VIOLATION),
        (b'id,"a\n', ErrorCode.SCHEMA_VIOLATION),
        (b"id,a\rb\n", ErrorCode.SCHEMA_VIOLATION),
        (b"id,a\r\r\n", ErrorCode.SCHEMA_VIOLATION),
        (b"id,a\r", ErrorCode.SCHEMA_VIOLATION),
        (b"id,a,A\n", ErrorCode.DUPLICATE_HEADER),
        (b"id,first name,firstName\n", ErrorCode.DUPLICATE_HEADER),
        (b"id,column_3,\n", ErrorCode.DUPLICATE_HEADER),
        (b"name\n", ErrorCode.NO_REFERENCE_COLUMN),
        (b"   \n", ErrorCode.NO_REFERENCE_COLUMN),
    ],
)
def test_faults(data: bytes, code: ErrorCode) -> None:
    """Each fault by itself."""
    assert fault_of(data) == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff" * 70 + b"\n", ErrorCode.SCHEMA_VIOLATION),  # too long, and not UTF-8
        (b'"\xff\n' + b"x" * 70, ErrorCode.SCHEMA_VIOLATION),  # too long, though its line is not
        (b'"\xff"x,\r\n', ErrorCode.UNSUPPORTED_ENCODING),  # not UTF-8, and a bad quote
        (b"a,a,b,b,b\n", ErrorCode.SCHEMA_VIOLATION),  # too many columns, and two alike
        (b"aaaaaaaaaaa,x,x\n", ErrorCode.SCHEMA_VIOLATION),  # a long name, and two alike
        (b"x,x\n", ErrorCode.DUPLICATE_HEADER),  # two alike, and no reference
    ],
)
def test_the_first_fault_counts(data: bytes, code: ErrorCode) -> None:
    """Length, encoding, quotes, columns and names, duplicates, reference: in this order."""
    assert fault_of(data, max_header_bytes=64, max_columns=4, max_name_chars=10) == code


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b""])
def test_the_longest_header(line_end: bytes) -> None:
    """The limit is on the record without its line end; one byte more is too much."""
    assert header_of(b"id,x" + line_end, max_header_bytes=4).columns == ("id", "x")
    assert fault_of(b"id,xy" + line_end, max_header_bytes=4) == ErrorCode.SCHEMA_VIOLATION


def test_the_longest_name() -> None:
    """255 characters, of whatever bytes."""
    assert header_of(b"id," + "ж".encode() * 255 + b"\n")
    assert fault_of(b"id," + "ж".encode() * 256 + b"\n") == ErrorCode.SCHEMA_VIOLATION


def test_the_most_columns() -> None:
    """1,000 are allowed."""
    names = [b"id", *(b"c%d" % number for number in range(999))]
    assert len(header_of(b",".join(names)).columns) == 1_000
    assert fault_of(b",".join([*names, b"x"])) == ErrorCode.SCHEMA_VIOLATION


@pytest.mark.parametrize("data", [b"id", b"id,a\r", b'id,"a"', b'id,"a\n'])
def test_an_unfinished_header_waits(data: bytes) -> None:
    """As long as the file may go on, a header without its end is no header yet."""
    assert header_in(data, ParseRules(), last=False) is None
