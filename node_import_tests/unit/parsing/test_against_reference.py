"""The product's reader against the reference parser, on files that are nasty on purpose.

`HYPOTHESIS_PROFILE=thorough` tries fifty times as many files, other ones each time.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.contracts.error_codes import ErrorCode
from node_import.parsing import block_parser
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing import plain_files, strategies
from node_import_tests.unit.parsing.file_reading import read_file
from node_import_tests.unit.parsing.hostile import HOSTILE_FILES, HostileFile, assert_as_written
from node_import_tests.unit.parsing.profile import THOROUGH, examples
from node_import_tests.unit.parsing.reference_parser import reference_parse
from node_import_tests.unit.parsing.reference_stream import ZSTD_MAGIC
from node_import_tests.unit.parsing.strategies import NastyFile

SMALL = 20_000  # bytes; the reference takes a second a megabyte, a block a byte takes for ever
STOPPED_EARLY = (ErrorCode.TOO_MANY_REJECTS, ErrorCode.DECOMPRESSED_TOO_LARGE)


def assert_as_reference(data: bytes, rules: ParseRules, most: int | None = None) -> None:
    """Everything equal; of a file given up early, what was read is the beginning of it."""
    expected = reference_parse(data, rules)
    actual = read_file(data, rules, most)
    assert actual.error == expected.error
    if actual.error in STOPPED_EARLY:
        assert actual.rows == expected.rows[: len(actual.rows)]
        assert actual.rejects == expected.rejects[: len(actual.rejects)]
    else:
        assert actual == expected


@given(strategies.nasty_files(plain_files.dense_files()))
@examples(250)
def test_rows_of_dense_structure(file: NastyFile) -> None:
    """Quotes, delimiters and line ends at every turn, behind a header that can be read."""
    assert_as_reference(file.data, file.rules)


@given(strategies.nasty_files(plain_files.mostly_plain_files()))
@examples(80)
def test_few_odd_rows_among_plain_ones(file: NastyFile) -> None:
    """What the fast ways leave out is found, judged and numbered where it stands."""
    assert_as_reference(file.data, file.rules)


@given(
    strategies.nasty_files(
        st.one_of(plain_files.dense_files(), plain_files.mostly_plain_files(), plain_files.tables())
    )
)
@examples(100)
def test_small_portions(file: NastyFile) -> None:
    """The bounds that keep memory flat, on lines, cells and held records, change no answer."""
    with patch.multiple(block_parser, HELD_BYTES=1, MOST_LINES=3, MOST_CELLS=8):
        assert_as_reference(file.data, file.rules)


@given(strategies.nasty_files(plain_files.dense_headers()))
@examples(150)
def test_headers_of_dense_structure(file: NastyFile) -> None:
    """The delimiter, the quotes and the faults of a header, in their order."""
    assert_as_reference(file.data, file.rules)


@given(strategies.nasty_files(plain_files.tables()))
@examples(150)
def test_tables(file: NastyFile) -> None:
    """Names, references, types and values of many scripts, as careful and careless writers do."""
    assert_as_reference(file.data, file.rules)


@given(strategies.nasty_files(st.binary(max_size=80)))
@examples(50)
def test_any_bytes(file: NastyFile) -> None:
    """Bytes that were never meant to be a table get the same answer too."""
    assert_as_reference(file.data, file.rules)


@given(
    strategies.nasty_files(strategies.compressed(plain_files.plain_files())),
    st.sampled_from([None, 1, 5, 100]),
)
@examples(200)
def test_compressed_files(file: NastyFile, most: int | None) -> None:
    """Members, frames and breaks anywhere, through a stream that gives little at a time."""
    assert_as_reference(file.data, file.rules, most)


@given(strategies.compressed(plain_files.dense_files()), st.data())
@examples(50)
def test_a_changed_byte_in_a_compressed_file(data: bytes, draw: st.DataObject) -> None:
    """It is noticed, or harmless; what was read before it is what the reference reads.

    How much comes out before the fault is seen is up to the decompressor, hence the beginning.
    """
    at = draw.draw(st.integers(4, len(data) - 1)) if len(data) > 4 else 0
    data = data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255))]) + data[at + 1 :]
    expected, actual = reference_parse(data, ParseRules()), read_file(data, ParseRules())
    shorter = min(len(expected.rows), len(actual.rows))
    assert expected.rows[:shorter] == actual.rows[:shorter]
    if not data.startswith(ZSTD_MAGIC):  # zstd checks an empty frame's size in large feeds only
        assert (expected.error is None) == (actual.error is None)


@given(st.lists(st.one_of(st.sampled_from(plain_files.NAMES), st.text()), min_size=1, max_size=3))
@examples(300)
def test_names(names: list[str]) -> None:
    """Any text as a header name is normalised as the contract says."""
    header = ",".join('"' + name.replace('"', '""') + '"' for name in ["zzkey", *names])
    rules = ParseRules(reference_columns=("zzkey",))
    assert_as_reference(header.encode("utf-8", "surrogatepass") + b"\n", rules)


@given(
    st.lists(st.sampled_from("aBéÉßǅᾈσΣяЯ1٣名ªʰ\u0301\u0308\u0e31\u200d_ ."), max_size=9).map(
        "".join
    )
)
@examples(300)
def test_camel_case(name: str) -> None:
    """Capitals, small letters, digits, marks and letters without case, in every order."""
    rules = ParseRules(reference_columns=("zzkey",))
    assert_as_reference(f'zzkey,"{name}"\n'.encode(), rules)


@pytest.mark.parametrize("file", HOSTILE_FILES, ids=lambda file: file.name.replace(" ", "-"))
def test_hostile_file(file: HostileFile) -> None:
    """The hand-written answer is the reader's, whatever its block size."""
    block_sizes = [65_536]
    if len(file.data) < SMALL:
        block_sizes = [7, 64, 4096, file.rules.block_bytes]
    for block_bytes in block_sizes:
        assert_as_written(read_file(file.data, replace(file.rules, block_bytes=block_bytes)), file)
    if len(file.data) < SMALL or THOROUGH:
        assert_as_reference(file.data, file.rules)


@st.composite
def csv_files(draw: st.DrawFn) -> tuple[bytes, dict[str, dict[str, str]]]:
    """A table as Python's `csv` writes it, and what is in it."""
    characters = st.one_of(st.sampled_from("a\",;\t|\r\n '\\é名🙂"), st.characters())
    text = st.text(
        characters.filter(lambda c: c != "\0" and not "\ud800" <= c <= "\udfff"), max_size=9
    )
    keys = [f"k{number}" for number in range(draw(st.integers(0, 4)))]
    references = draw(st.lists(st.uuids().map(str), max_size=8, unique=True))
    table = {reference: {key: draw(text) for key in keys} for reference in references}
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=draw(st.sampled_from(",;\t|")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator="\r\n",  # with a bare LF it would leave a value's last CR unquoted
    )
    writer.writerow(["id", *keys])
    writer.writerows([reference, *values.values()] for reference, values in table.items())
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return (mark + out.getvalue()).encode(), table


@given(csv_files(), st.sampled_from(strategies.BLOCK_BYTES))
@examples(100)
def test_what_csv_writes_is_read_back(
    file: tuple[bytes, dict[str, dict[str, str]]], block_bytes: int
) -> None:
    """Every value that the standard library writes comes back as it was."""
    data, table = file
    result = read_file(data, ParseRules(block_bytes=block_bytes))
    assert result.error is None
    assert result.rejects == []
    assert {row.reference: row.values for row in result.rows} == {
        reference: {key: value for key, value in values.items() if value}
        for reference, values in table.items()
    }
