"""Where records end, and that finding it is linear work."""

from __future__ import annotations

import pytest

from node_import.parsing.record_scanner import Extent, Kind, RecordScanner

LIMIT = 16


def scan(data: bytes, start: int = 0, *, last: bool = True, limit: int = LIMIT) -> Extent | None:
    return RecordScanner(data, b",", limit, last=last).scan(start)


@pytest.mark.parametrize(
    ("data", "content_end", "end"),
    [
        (b"a,b\nc", 3, 4),
        (b"a,b\r\nc", 3, 5),
        (b"a,b\r\r\nc", 4, 6),
        (b"a\rb\nc", 3, 4),
        (b"a,b", 3, 3),
        (b"a,b\r", 4, 4),
        (b'a,"b\nc"\nd', 7, 8),
        (b'"a\r\n""b",\r\n', 9, 11),
        (b'""\n', 2, 3),
        (b'a"b,6\'2"\n"', 8, 9),
        (b'x",y,"\n",z\n', 10, 11),
        (b'a,"b"', 5, 5),
    ],
)
def test_good_records(data: bytes, content_end: int, end: int) -> None:
    """A quote means something only where a field begins; a CR only before an LF."""
    assert scan(data) == Extent(Kind.RECORD, content_end, end)


@pytest.mark.parametrize(
    ("data", "kind", "end"),
    [
        (b'"a"b\nc\n', Kind.MALFORMED_QUOTE, 5),
        (b'"a" ,b\n', Kind.MALFORMED_QUOTE, 7),
        (b'"a"\rb\n', Kind.MALFORMED_QUOTE, 6),
        (b'"a"\r', Kind.MALFORMED_QUOTE, 4),
        (b'"a\nb"c\n', Kind.MALFORMED_QUOTE, 3),
        (b'a,"b\nc\n', Kind.UNTERMINATED_QUOTE, 5),
        (b'a,"b""', Kind.UNTERMINATED_QUOTE, 6),
        (b'a,"' + b"x" * 20 + b'"\n', Kind.UNTERMINATED_QUOTE, 25),
        (b'a,"\n' + b"x" * 20 + b'"\n', Kind.UNTERMINATED_QUOTE, 4),
    ],
)
def test_quote_faults_reject_the_first_line(data: bytes, kind: Kind, end: int) -> None:
    """Wherever the fault is, the physical line on which the record began is what is rejected."""
    extent = scan(data)
    assert extent is not None
    assert (extent.kind, extent.end) == (kind, end)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"x" * 16 + b"\n", Kind.RECORD),
        (b"x" * 16 + b"\r\n", Kind.RECORD),
        (b"x" * 17 + b"\n", Kind.TOO_LONG),
        (b"x" * 16 + b"\r\r\n", Kind.TOO_LONG),
        (b'"' + b"x" * 14 + b'"\n', Kind.RECORD),
        (b'"' + b"x" * 14 + b'"\r\n', Kind.RECORD),
        (b'"' + b"x" * 15 + b'"\n', Kind.UNTERMINATED_QUOTE),
        (b'"' + b"x" * 14 + b'""y"\n', Kind.UNTERMINATED_QUOTE),
        (b'"' + b"x" * 14 + b'",\n', Kind.TOO_LONG),
        (b'"' + b"x" * 14 + b'"y\n', Kind.TOO_LONG),
        (b'"' + b"x" * 13 + b'"y\n', Kind.MALFORMED_QUOTE),
        (b'"a"' + b"x" * 14 + b"\n", Kind.TOO_LONG),
        (b"x" * 14 + b',"\n', Kind.UNTERMINATED_QUOTE),
        (b"x" * 15 + b',"\n', Kind.TOO_LONG),
        (b'"\n' + b"x" * 12 + b'",xxxx\n', Kind.TOO_LONG),
    ],
)
def test_borders_of_the_limit(data: bytes, kind: Kind) -> None:
    """A record may have 16 bytes here, and a quoted field must close by its sixteenth."""
    extent = scan(data)
    assert extent is not None
    assert extent.kind is kind


def test_a_long_record_ends_with_its_line() -> None:
    """Behind the limit, outside quotes, the next LF ends it; quotes mean nothing any more."""
    extent = scan(b'"\n",' + b"x" * 14 + b',"\n"\n')
    assert extent == Extent(Kind.TOO_LONG, 0, 21)


@pytest.mark.parametrize(
    "data",
    [b"a,b", b"a,b\r", b'"a', b'"a"', b'"a"\r', b'"a\n', b'"a"b', b"x" * 16, b"x" * 16 + b"\r"],
)
def test_undecided_data_waits(data: bytes) -> None:
    """As long as the file may go on, and the limit is not reached, nothing is said."""
    assert scan(data, last=False) is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"x" * 18, Kind.TOO_LONG),
        (b'"' + b"x" * 17, Kind.UNTERMINATED_QUOTE),
        (b'"a"' + b"x" * 15, Kind.TOO_LONG),
    ],
)
def test_a_line_without_an_end_is_known_to_be_bad(data: bytes, kind: Kind) -> None:
    """Two bytes behind the limit everything is decided but where the line ends."""
    assert scan(data, last=False) == Extent(kind, 0, None)


@pytest.mark.parametrize(
    "line", [b'x",y,"\n', b'"\n', b'a,"b\n', b'x"",y,""","\n', b'","\n', b'x",y,"a""b\n']
)
def test_hostile_quotes_are_linear_work(line: bytes) -> None:
    """However many lines open a quote, every quoted field is looked at a few times at most."""
    data = line * 5_000
    scanner = RecordScanner(data, b",", 1_000_000, last=True)
    position = 0
    while position < len(data):
        extent = scanner.scan(position)
        assert extent is not None
        assert extent.end is not None
        position = extent.end
    assert scanner.nodes_scanned <= data.count(b'"')
