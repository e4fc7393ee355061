"""Plain lines, found by their shape."""

from __future__ import annotations

import pytest

from node_import.parsing.plain_lines import LineShape, PlainLines, behind_lines

SHAPE = LineShape(3, b",")


def runs_of(lines: bytes, *, shape: LineShape = SHAPE, longest: int = 100) -> list[bytes]:
    """The runs of plain lines; every odd line is stepped over."""
    plain = PlainLines(shape, lines, longest)
    position, runs = 0, []
    while position < len(lines):
        end, count = plain.run_from(position)
        if end > position:
            assert lines.count(b"\n", position, end) == count
            runs.append(lines[position:end])
        position = lines.find(b"\n", end) + 1 or len(lines)
    return runs


@pytest.mark.parametrize("line", [b"a,b,c\n", b",,\n", b"a,b,c\r\n", "ж,😀,\n".encode()])
def test_a_plain_block_is_one_run(line: bytes) -> None:
    """With either line end, and text of any kind."""
    assert runs_of(line * 50) == [line * 50]


def test_quotes_are_text_where_no_field_begins_with_one() -> None:
    """A block of heights is as plain as any other."""
    lines = b'a,6\'2",b"c\n' * 50
    assert runs_of(lines) == [lines]


@pytest.mark.parametrize(
    "odd",
    [
        b"a,b\n",
        b"a,b,c,d\n",
        b"\n",
        b"\r\n",
        b'a,"b",c\n',
        b"a,b\r,c\n",
        b"a,b,c\r\r\n",
        b"a,\0,c\n",
    ],
)
def test_odd_lines_are_left_out(odd: bytes) -> None:
    """Wrong counts, empty lines, quoted fields, bare CRs and NULs."""
    good = b"aaaa,b,c\n" * 40
    assert runs_of(odd + good + odd + odd + good + odd) == [good, good]


def test_lines_of_both_ends() -> None:
    """A block may mix CRLF and LF, as long as one of them is rare."""
    lines = b"a,b,c\r\n" * 60 + b"a,b,c\n" + b"a,b,c\r\n" * 60
    assert runs_of(lines) == [lines]


@pytest.mark.parametrize(
    "lines",
    [
        b"a,b,c\na,b\n" * 30,
        b"a,b,c\n" * 30 + b"x" * 99 + b",,\n",
        b'"a",b,c\n' * 30,
        b'"a",b,c\n' * 3 + b"a,b,c\n" * 30,
    ],
)
def test_other_blocks_have_none(lines: bytes) -> None:
    """Where odd lines are frequent, or one is too long, another way is faster or needed."""
    assert not PlainLines(SHAPE, lines, 100).is_sparse
    assert runs_of(lines) == []


def test_one_column() -> None:
    """A line's shape does not tell whether it is empty: with an empty line there are no runs."""
    shape = LineShape(1, b",")
    assert runs_of(b"a\nb\n" * 20, shape=shape) == [b"a\nb\n" * 20]
    for empty in (b"\n", b"\r\n"):
        assert runs_of(empty + b"a\n" * 20, shape=shape) == []
        assert runs_of(b"a\n" * 20 + empty, shape=shape) == []


def test_borders_of_the_longest_line() -> None:
    """Its line end does not count."""
    lines = b"a,b,c\n" * 30
    assert runs_of(lines + b"x" * 18 + b",,\n", longest=20)
    assert not runs_of(lines + b"x" * 19 + b",,\n", longest=20)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 17, 99, 100])
def test_behind_lines(count: int) -> None:
    """Whatever the lengths of the lines."""
    lines = [b"x" * (7 * number % 50 * (number % 13)) + b"\n" for number in range(100)]
    assert behind_lines(b"".join(lines), 0, count) == sum(map(len, lines[:count]))
    longer = [b"y" * 5_000 + b"\n", *lines]
    assert behind_lines(b"".join(longer), 0, count + 1) == sum(map(len, longer[: count + 1]))
