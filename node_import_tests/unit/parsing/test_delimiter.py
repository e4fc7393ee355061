"""Which delimiter a header speaks for."""

from __future__ import annotations

import pytest

from node_import.parsing.delimiter import delimiter_of

LIMIT = 1_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"id\n", b","),
        (b"id,name\n", b","),
        (b"id;name\n", b";"),
        (b"id\tname\n", b"\t"),
        (b"id|name\n", b"|"),
        (b"id;a,b;c\n", b";"),
        (b"id;a,b\n", b","),
        (b"id|a\tb\n", b"\t"),
        (b'"a,b,c,d";id\n', b";"),
        (b'id;"a,""b"",c,d"\n', b";"),
        (b'id;"a,\n,,b";c\nx,x,x,x,x\n', b";"),
        (b'id;x"a,b,c"\n', b","),
        (b"id;name", b";"),
    ],
)
def test_the_most_frequent_candidate_wins(header: bytes, expected: bytes) -> None:
    """Quoted text aside; on a tie the first of comma, semicolon, tab, bar; comma with none."""
    assert delimiter_of(header, LIMIT, complete=True) == expected


@pytest.mark.parametrize("header", [b"id;name", b'id;"a', b'id;"a"', b""])
def test_an_unfinished_header_waits(header: bytes) -> None:
    """Nothing is said as long as more of the file could change it."""
    assert delimiter_of(header, LIMIT, complete=False) is None


def test_a_header_is_judged_by_its_first_bytes() -> None:
    """What stands behind the limit does not count, and is not waited for."""
    assert delimiter_of(b"a;b" + b"x" * 10 + b",,,,", 10, complete=False) == b";"
