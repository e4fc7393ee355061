"""Rows, rejects and errors of whole files: each sentence of the contract by an example."""

from __future__ import annotations

import io

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.node_type import NodeType
from node_import.errors import PermanentError, TransientError
from node_import.parsing import block_parser
from node_import.parsing.file_reader import FileReader
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.reading import read_whole

BOM = b"\xef\xbb\xbf"


def test_rows_have_lines_references_types_and_values() -> None:
    """Values stand in the order of the header's keys; an empty one is null."""
    whole = read_whole(b"name,id,type,city\nAnn,r1,product,\n,r2,,Ulm\n")
    assert whole.rows == [(2, "r1", "PRODUCT", "Ann", None), (3, "r2", "USER", None, "Ulm")]
    assert whole.rejects == []


def test_values_stand_as_they_are() -> None:
    """Spaces, line ends and quotes within a value are kept; references and types are trimmed."""
    data = 'id,type,v\n\u3000r1 ,\tUser, a \n"\n r2","",x\ny\n'.replace("x\ny", '"x\r\n""y"""')
    whole = read_whole(data.encode())
    assert whole.rows == [(2, "r1", "USER", " a "), (3, "r2", "USER", 'x\r\n"y"')]


def test_a_file_without_a_type_column_has_the_topics_type() -> None:
    """So has a row with an empty type."""
    assert read_whole(b"id\nr1\n", default_type=NodeType.RESOURCE).rows == [(2, "r1", "RESOURCE")]
    whole = read_whole(b"id,type\nr1, \n", default_type=NodeType.PRODUCT)
    assert whole.rows == [(2, "r1", "PRODUCT")]


@pytest.mark.parametrize(
    "data", [b"id\nr1\nr2\n", b"id\r\nr1\r\nr2\r\n", b"id\nr1\r\nr2", b"id\nr1\nr2"]
)
def test_line_ends(data: bytes) -> None:
    """LF, CRLF, both, and a last line without its end."""
    assert read_whole(data).rows == [(2, "r1", "USER"), (3, "r2", "USER")]


def test_a_bare_cr_is_a_character() -> None:
    """In the middle, at the end of a value, before a CRLF, and at the end of the file."""
    whole = read_whole(b"id,a\nr1,x\ry\nr2\r,z\nr3,\r\r\nr4,x\r")
    assert whole.rows == [
        (2, "r1", "USER", "x\ry"),
        (3, "r2", "USER", "z"),
        (4, "r3", "USER", "\r"),
        (5, "r4", "USER", "x\r"),
    ]


def test_empty_lines_are_no_rows_but_lines() -> None:
    """Before the header and between rows; a line of delimiters or blanks is a row."""
    whole = read_whole(b"\n\r\nid,a\n\nr1,x\n\r\n\r\nr2,y\n,\n \n")
    assert [row[:2] for row in whole.rows] == [(5, "r1"), (8, "r2")]
    assert whole.codes == [(9, "MISSING_REFERENCE_ID"), (10, "COLUMN_COUNT_MISMATCH")]


def test_empty_lines_of_one_column() -> None:
    """A quoted nothing is a row, a line with nothing is none."""
    whole = read_whole(b'id\n\nr1\n""\n\r\nr2\n')
    assert [row[:2] for row in whole.rows] == [(3, "r1"), (6, "r2")]
    assert whole.codes == [(4, "MISSING_REFERENCE_ID")]


def test_lines_are_counted_through_quoted_values() -> None:
    """A row's line is the physical line on which it begins."""
    whole = read_whole(b'id,a\nr1,"x\n\r\ny"\nr2,z\nr3,"\n"\nr4\n')
    assert [row[:2] for row in whole.rows] == [(2, "r1"), (5, "r2"), (6, "r3")]
    assert whole.codes == [(8, "COLUMN_COUNT_MISMATCH")]


def test_quotes_are_text_where_no_field_begins() -> None:
    """`6'2"` is a value, also in a row that has quoted values."""
    whole = read_whole(b'id,a,b\nr1,6\'2",x"y"\nr2,"a,b",5"\n"r3",a"b,"c""d"\n')
    assert [row[3:] for row in whole.rows] == [("6'2\"", 'x"y"'), ("a,b", '5"'), ('a"b', 'c"d')]


def test_first_bytes_of_a_row_are_text() -> None:
    """A byte-order mark within the file, and what looks like a compressed stream."""
    rows = [b"\xef\xbb\xbfr1", b"x\x01", b"x\x9c"[:1], b"#r4"]
    whole = read_whole(b"id\n" + b"\n".join(rows), block_bytes=3)
    assert whole.references == ["\ufeffr1", "x\x01", "x", "#r4"]


@pytest.mark.parametrize(
    ("row", "code", "column", "reference"),
    [
        (b"\xff,,a", ErrorCode.INVALID_UTF8, None, None),
        (b"r,,\xc3", ErrorCode.INVALID_UTF8, None, "r"),
        (b"r,,\xed\xa0\x80", ErrorCode.INVALID_UTF8, None, "r"),
        (b"r\0,,a", ErrorCode.NUL_CHARACTER, None, None),
        (b'r,,"a"b', ErrorCode.MALFORMED_QUOTE, None, None),
        (b"r,a", ErrorCode.COLUMN_COUNT_MISMATCH, None, "r"),
        (b"r,,a,b", ErrorCode.COLUMN_COUNT_MISMATCH, None, "r"),
        (b",,a", ErrorCode.MISSING_REFERENCE_ID, "id", None),
        (b'"\xe2\x80\xa8 ",,a', ErrorCode.MISSING_REFERENCE_ID, "id", None),
        (b"r" * 256 + b",,a", ErrorCode.REFERENCE_ID_TOO_LONG, "id", None),
        (b"r,admin,a", ErrorCode.INVALID_TYPE, "type", "r"),
        ("r,uſer,a".encode(), ErrorCode.INVALID_TYPE, "type", "r"),
        (b"r,," + b"a" * 65_537, ErrorCode.VALUE_TOO_LONG, "a", "r"),
    ],
)
def test_reject_codes(
    row: bytes, code: ErrorCode, column: str | None, reference: str | None
) -> None:
    """Every code of a row, with its column and reference, among good rows that are unharmed."""
    whole = read_whole(b"id,type,a\ng1,,\n" + row + b"\r\ng2,,\n")
    (reject,) = whole.rejects
    assert (reject.line, reject.code, reject.column) == (3, code, column)
    assert reject.reference == reference
    assert reject.record == row + b"\r\n"
    assert reject.message.endswith(".")
    assert whole.references == ["g1", "g2"]


def test_an_open_quote_rejects_its_line_alone() -> None:
    """Reading goes on at the next physical line, also of a fault further down."""
    whole = read_whole(b'id,a\nr1,"x\nr2,y\nr3,"z\nr4,""\n')
    assert whole.references == ["r2", "r4"]
    assert whole.codes == [
        (2, "MALFORMED_QUOTE"),
        (4, "UNTERMINATED_QUOTE"),
    ]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b'\0\xff"', ErrorCode.INVALID_UTF8),
        (b'"\0"x', ErrorCode.NUL_CHARACTER),
        (b'"x"y', ErrorCode.MALFORMED_QUOTE),
        (b",,,", ErrorCode.COLUMN_COUNT_MISMATCH),
        (b",admin,", ErrorCode.MISSING_REFERENCE_ID),
        (b"rrrrr,admin,", ErrorCode.REFERENCE_ID_TOO_LONG),
        (b"r,admin,aaaaaaaaa", ErrorCode.INVALID_TYPE),
        (b"r,,aaaaaaaaa", ErrorCode.VALUE_TOO_LONG),
        (b"\xff\0" * 15, ErrorCode.VALUE_TOO_LONG),  # the record is, whatever else is wrong
    ],
)
def test_the_first_code_counts(row: bytes, code: ErrorCode) -> None:
    """One reject a row, the first in the contract's order."""
    limits = {"max_reference_chars": 4, "max_value_bytes": 8, "max_record_bytes": 24}
    whole = read_whole(b"id,type,a\n" + row + b"\n", **limits)
    assert [reject.code for reject in whole.rejects] == [code]


def test_encoding_of_a_quote_fault_is_judged_on_its_line() -> None:
    """A bad byte on a later line of the record that never was does not count."""
    whole = read_whole(b'id,a\nr1,"x\n\xff\nr2,\xff\n')
    assert whole.codes == [
        (2, "UNTERMINATED_QUOTE"),
        (3, "INVALID_UTF8"),
        (4, "INVALID_UTF8"),
    ]


def test_borders_of_a_reference() -> None:
    """255 characters, whatever their bytes, without the white space around them."""
    good = ["r" * 255, "ж" * 255, "😀" * 255, "r"]
    rows = "\n".join(f" {reference}\u2003" for reference in [*good, "r" * 256, "😀" * 256])
    whole = read_whole(f"id\n{rows}\n".encode())
    assert whole.references == good
    assert whole.codes == [(6, "REFERENCE_ID_TOO_LONG"), (7, "REFERENCE_ID_TOO_LONG")]


def test_borders_of_a_value() -> None:
    """65,536 bytes, counted without quotes; of any column, the white space around a type too."""
    full, over = b"ab" * 32_768, b"\xc3\xa4" * 32_768 + b"x"
    rows = [
        b"1,," + full,
        b'2,,"' + full[:-1] + b'"""',
        b"3,," + over,
        b"4," + b" " * 65_537 + b",",
    ]
    whole = read_whole(b"id,type,a\n" + b"\n".join(rows))
    assert whole.references == ["1", "2"]
    assert [(reject.line, reject.column) for reject in whole.rejects] == [(4, "a"), (5, "type")]
    assert {reject.code for reject in whole.rejects} == {ErrorCode.VALUE_TOO_LONG}


def test_a_long_record_is_rejected_to_its_line_end() -> None:
    """Rows around it are read; its bytes are kept."""
    long = b"r2," + b"x" * 40 + b',"\n'
    whole = read_whole(b"id,a\nr1,x\n" + long + b"r3,y\n", max_record_bytes=32)
    assert whole.references == ["r1", "r3"]
    (reject,) = whole.rejects
    assert (reject.code, reject.column, reject.record) == (ErrorCode.VALUE_TOO_LONG, None, long)


@pytest.mark.parametrize("line_end", [b"\n", b""])
@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        (b"x", b"x", ErrorCode.VALUE_TOO_LONG),
        (b'"', b"x", ErrorCode.UNTERMINATED_QUOTE),
        (b'"', b"\0", ErrorCode.NUL_CHARACTER),
        (b'"', b"\xff\0", ErrorCode.INVALID_UTF8),
        (b'"', "é".encode()[:1], ErrorCode.INVALID_UTF8),
        ('"é'.encode(), "é".encode(), ErrorCode.UNTERMINATED_QUOTE),
        (b'"a"b', b"\xff", ErrorCode.VALUE_TOO_LONG),
    ],
)
def test_a_record_too_long_to_be_held(
    monkeypatch: pytest.MonkeyPatch, start: bytes, end: bytes, code: ErrorCode, line_end: bytes
) -> None:
    """It comes in fragments, whole in the reject file, judged as if it had been held."""
    monkeypatch.setattr(block_parser, "HELD_BYTES", 100)
    long = start + "é".encode() * 500 + end + line_end
    rest = b"r2,y\n" if line_end else b""
    rules = {"max_record_bytes": 32, "block_bytes": 64}
    whole = read_whole(b"id,a\nr1,x\n" + long + rest, **rules)
    (reject,) = whole.rejects
    assert (reject.line, reject.code, reject.record) == (3, code, long)
    assert whole.references == (["r1", "r2"] if line_end else ["r1"])
    assert [row[0] for row in whole.rows] == ([2, 4] if line_end else [2])


def test_too_many_rejects() -> None:
    """One more than allowed stops the file right there, whatever the blocks."""
    data = b"id,a\n1,x\n2\n3\n4,x\n5\n6,x\n"
    assert read_whole(data, max_rejects=3).error is None
    for block_bytes in (1, 8, 100):
        whole = read_whole(data, max_rejects=2, block_bytes=block_bytes)
        assert whole.error == ErrorCode.TOO_MANY_REJECTS
        assert whole.references == ["1", "4"]
        assert [reject.line for reject in whole.rejects] == [3, 4]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ErrorCode.EMPTY_FILE),
        (BOM, ErrorCode.EMPTY_FILE),
        (b"\n\r\n", ErrorCode.EMPTY_FILE),
        (BOM + b"\n", ErrorCode.EMPTY_FILE),
        ("id\nr1\n".encode("utf-16"), ErrorCode.UNSUPPORTED_ENCODING),
        (b"\xfe\xff\0i\0d", ErrorCode.UNSUPPORTED_ENCODING),
        (b"\xff\xfe", ErrorCode.UNSUPPORTED_ENCODING),
        (b"name\nx\n", ErrorCode.NO_REFERENCE_COLUMN),
        (b"id\n", None),
        (b"id", None),
        (BOM + b'"id"\r\n\r\n', None),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 64])
def test_files_without_rows(data: bytes, error: ErrorCode | None, block_bytes: int) -> None:
    """A header alone is a file of no rows; no header at all is an error."""
    whole = read_whole(data, block_bytes=block_bytes)
    assert (whole.rows, whole.rejects, whole.error) == ([], [], error)


EVERYTHING = (
    BOM
    + (
        '\r\nid;"first\nname";type;height\r\n'
        'r1;"Ann; ""A""\r\nB";user;6\'2"\r\n'
        "\r\n"
        "ж2;жж😀;Product;\r\n"
        'r3;"x"y;;1\r\n'
        "r4;a;nobody;2\r\n"
        ' r5 ;"";"resource";3\n'
        ";a;;4\n"
        "r7;a\n"
        'r8;"open;;5\r\n'
        "r9;\r;;6\r\r\n"
        'r10;"";;"7"'
    ).encode()
)


@pytest.mark.parametrize("block_bytes", [*range(1, 40), 64, 200, 1_000])
def test_blocks_may_be_cut_anywhere(block_bytes: int) -> None:
    """Within CRLF, characters, doubled quotes and marks: the results are those of one block."""
    expected = read_whole(EVERYTHING)
    assert expected.references == ["r1", "ж2", "r5", "r9", "r10"]
    assert [line for line, _ in expected.codes] == [8, 9, 11, 12, 13]
    assert read_whole(EVERYTHING, block_bytes=block_bytes) == expected


@pytest.mark.parametrize("column_count", [1, 3])
@pytest.mark.parametrize("odd", [b'"x"', b'x"', b'"x', b"\0", b"\xff", b"\r", b"", b",", b'"\n"'])
def test_a_few_odd_lines_among_many(odd: bytes, column_count: int) -> None:
    """The fast way around an odd line reads what the careful way reads, line by line."""
    names = b",".join([b"id", b"a", b"b"][:column_count])
    rest = b"," * (column_count - 1)
    lines = [b"r%d%s" % (number, rest) for number in range(100)]
    for at in (0, 40, 41, 99):
        lines[at] = odd + rest
    data = names + b"\n" + b"\n".join(lines) + b"\n"
    assert read_whole(data) == read_whole(data, block_bytes=1)


def test_progress_can_be_followed() -> None:
    """Raw and decompressed bytes so far."""
    reader = FileReader(io.BytesIO(b"id\nr1\n"))
    assert (reader.bytes_read, reader.csv_bytes) == (0, 0)
    list(reader.blocks())
    assert (reader.bytes_read, reader.csv_bytes) == (6, 6)


def test_errors_of_the_stream_pass_through() -> None:
    """An outage while reading is no fault of the file."""

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, "away")

    reader = FileReader(Broken(), ParseRules())
    with pytest.raises(TransientError):
        _ = reader.header


def test_the_header_is_read_once() -> None:
    """Asking for it again gives the same, before and after the rows."""
    reader = FileReader(io.BytesIO(b"id,a\nr1,x\n"))
    header = reader.header
    assert [block.rows.height for block in reader.blocks()] == [1]
    assert reader.header is header


def test_no_rows_behind_a_bad_header() -> None:
    """`blocks` raises what `header` raises."""
    with pytest.raises(PermanentError, match="NO_REFERENCE_COLUMN"):
        list(FileReader(io.BytesIO(b"name\nx\n")).blocks())
