"""A slow and simple parser of whole files, written from the contract ("Files") alone.

It is the oracle of the property tests: a byte at a time, a record at a time, nothing clever and
nothing shared with `node_import.parsing` but the limits. Each rule stands beside its sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from node_import.contracts.error_codes import ErrorCode
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.reference_names import reference_name
from node_import_tests.unit.parsing.reference_records import (
    Broken,
    Record,
    read_record,
)
from node_import_tests.unit.parsing.reference_stream import reference_decompress

QUOTE, LINE_FEED = b'"\n'
DELIMITERS = b",;\t|"  # in the order that decides a tie
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
TYPES = ("USER", "PRODUCT", "RESOURCE")
# The characters with Unicode's property White_Space (PropList.txt). `str.strip()` would also take
# U+001C to U+001F, which do not have it.
WHITE_SPACE = (
    "".join(map(chr, [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]))
    + "\u2028\u2029\u202f\u205f\u3000"
)


class GoodRow(NamedTuple):
    """An accepted row; `values` holds its metadata, without the empty values."""

    line: int
    reference: str
    type: str
    values: dict[str, str]


class BadRow(NamedTuple):
    """A rejected record, with its line end; `column` is a normalised name or None.

    `reference` is given where everything before it was in order (a bad type, a long value).
    """

    line: int
    code: ErrorCode
    column: str | None
    record: bytes
    reference: str | None = None


@dataclass
class ReferenceResult:
    """What a file holds; after a header fault only `error` means anything."""

    error: ErrorCode | None = None
    header_raw: bytes = b""
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    reference_column: str = ""
    metadata_keys: tuple[str, ...] = ()
    rows: list[GoodRow] = field(default_factory=list)
    rejects: list[BadRow] = field(default_factory=list)

    @property
    def winners(self) -> dict[str, GoodRow]:
        """Of several good rows with one reference the last one counts, whole."""
        return {row.reference: row for row in self.rows}


class HeaderFault(Exception):
    """The file cannot be imported, for this reason."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code)
        self.code = code


class Row(NamedTuple):
    """Why a record is rejected, or its good row."""

    code: ErrorCode | None
    column: str | None = None
    reference: str | None = None
    good: GoodRow | None = None


def reference_parse(data: bytes, rules: ParseRules) -> ReferenceResult:
    """Everything the contract says of the file `data`."""
    text, broken = reference_decompress(data, rules)
    result = ReferenceResult()
    try:
        position = read_header(text, broken, rules, result)
    except HeaderFault as fault:
        return ReferenceResult(error=fault.code)
    line = 1 + text.count(b"\n", 0, position)  # physical lines, from 1
    delimiter = result.delimiter.encode()
    while position < len(text):
        record = read_record(
            text, position, delimiter, rules.max_record_bytes, broken=broken is not None
        )
        if isinstance(record, Broken):  # a row whose end never came is no row
            break
        if record.raw not in (b"\n", b"\r\n"):  # empty lines are skipped and not counted
            add_row(record, line, rules, result)
        if len(result.rejects) > rules.max_rejects:
            result.error = ErrorCode.TOO_MANY_REJECTS
            return result
        position = record.end
        line += record.raw.count(b"\n")
    result.error = broken
    return result


def add_row(record: Record, line: int, rules: ParseRules, result: ReferenceResult) -> None:
    row = judge(record, line, rules, result)
    if row.good is not None:
        result.rows.append(row.good)
    else:
        assert row.code is not None
        result.rejects.append(BadRow(line, row.code, row.column, record.raw, row.reference))


def judge(record: Record, line: int, rules: ParseRules, result: ReferenceResult) -> Row:
    """One reject a row: the first code that applies, in the contract's order."""
    if record.fault == ErrorCode.VALUE_TOO_LONG:  # whatever else is wrong with it
        return Row(ErrorCode.VALUE_TOO_LONG)
    if not is_utf8(record.raw):  # of a quote fault, `raw` is the rejected line alone
        return Row(ErrorCode.INVALID_UTF8)
    if b"\0" in record.raw:
        return Row(ErrorCode.NUL_CHARACTER)
    if record.fault is not None:
        return Row(record.fault)
    if len(record.fields) != len(result.columns):
        return Row(ErrorCode.COLUMN_COUNT_MISMATCH)
    texts = [value.decode() for value in record.fields]
    return judge_values(dict(zip(result.columns, texts, strict=True)), line, rules, result)


def judge_values(
    values: dict[str, str], line: int, rules: ParseRules, result: ReferenceResult
) -> Row:
    """The codes that need the fields of a row, `values` by normalised column."""
    reference = values[result.reference_column].strip(WHITE_SPACE)
    if not reference:
        return Row(ErrorCode.MISSING_REFERENCE_ID, result.reference_column)
    if len(reference) > rules.max_reference_chars:
        return Row(ErrorCode.REFERENCE_ID_TOO_LONG, result.reference_column)
    kind = ascii_upper(values.get("type", "").strip(WHITE_SPACE)) or rules.default_type.value
    if kind not in TYPES:
        return Row(ErrorCode.INVALID_TYPE, "type", reference)
    for column, value in values.items():
        if len(value.encode()) > rules.max_value_bytes:
            return Row(ErrorCode.VALUE_TOO_LONG, column, reference)
    metadata = {key: values[key] for key in result.metadata_keys if values[key]}
    return Row(None, good=GoodRow(line, reference, kind, metadata))


def read_header(
    text: bytes, broken: ErrorCode | None, rules: ParseRules, result: ReferenceResult
) -> int:
    """Fill in the header's part of `result`; returns where the first row begins."""
    if text.startswith(UTF16_MARKS):
        raise HeaderFault(ErrorCode.UNSUPPORTED_ENCODING)
    position = len(UTF8_MARK) if text.startswith(UTF8_MARK) else 0
    while text[position:].startswith((b"\n", b"\r\n")):  # empty lines before it are skipped
        position = text.index(b"\n", position) + 1
    if position == len(text):
        raise HeaderFault(broken or ErrorCode.EMPTY_FILE)

    delimiter = choose_delimiter(text[position:], rules.max_header_bytes, broken is not None)
    if delimiter is None:
        assert broken is not None
        raise HeaderFault(broken)
    record = read_record(
        text, position, delimiter, rules.max_header_bytes, broken=broken is not None
    )
    if isinstance(record, Broken):  # it cannot be read
        assert broken is not None
        # Its length is known to be a fault without its end.
        raise HeaderFault(ErrorCode.SCHEMA_VIOLATION if record.reached_limit else broken)
    judge_header_bytes(record)
    result.header_raw = record.raw
    result.delimiter = delimiter.decode()
    result.columns = tuple(
        reference_name(name.decode(), number) for number, name in enumerate(record.fields, 1)
    )
    judge_columns(rules, result)
    return record.end


def choose_delimiter(text: bytes, limit: int, broken: bool) -> bytes | None:
    """The candidate that most often ends a field of the header at the start of `text`.

    Quoted text is set aside, and since it is not yet known which candidate it is, each of them
    ends a field, behind which a quote may begin. The first candidate wins a tie; comma with none.
    Of a header over the limit only what is within counts. None: the stream broke in the header.
    """
    ends = dict.fromkeys(DELIMITERS, 0)
    header = text[:limit]
    field_begins = True
    at = 0
    while at < len(header) and header[at] != LINE_FEED:
        if field_begins and header[at] == QUOTE:
            at = behind_quoted(header, at)
            field_begins = False
            continue
        field_begins = header[at] in DELIMITERS
        if field_begins:
            ends[header[at]] += 1
        at += 1
    if at == len(text) and broken:
        return None
    best = max(DELIMITERS, key=lambda candidate: ends[candidate])  # the first of equals
    return bytes([best])


def behind_quoted(text: bytes, at: int) -> int:
    """The place behind the quote that closes the one at `at`, or the end of `text`."""
    at += 1
    while at < len(text):
        if text.startswith(b'""', at):
            at += 2
        elif text[at] == QUOTE:
            return at + 1
        else:
            at += 1
    return at


def judge_header_bytes(record: Record) -> None:
    """The header's faults up to its quotes, in the contract's order."""
    if record.fault == ErrorCode.VALUE_TOO_LONG or record.reached_limit:
        raise HeaderFault(ErrorCode.SCHEMA_VIOLATION)  # more than 1 MiB
    if not is_utf8(record.raw) or b"\0" in record.raw:
        raise HeaderFault(ErrorCode.UNSUPPORTED_ENCODING)
    if record.fault is not None or record.bare_cr:
        raise HeaderFault(ErrorCode.SCHEMA_VIOLATION)


def judge_columns(rules: ParseRules, result: ReferenceResult) -> None:
    """The faults of its names, and which column is which."""
    if len(result.columns) > rules.max_columns:
        raise HeaderFault(ErrorCode.SCHEMA_VIOLATION)
    if any(len(name) > rules.max_name_chars for name in result.columns):
        raise HeaderFault(ErrorCode.SCHEMA_VIOLATION)
    if len(set(result.columns)) < len(result.columns):
        raise HeaderFault(ErrorCode.DUPLICATE_HEADER)
    for name in rules.reference_columns:  # in that order of names, not of columns
        if name in result.columns:
            result.reference_column = name
            break
    else:
        raise HeaderFault(ErrorCode.NO_REFERENCE_COLUMN)
    result.metadata_keys = tuple(
        name for name in result.columns if name not in (result.reference_column, "type")
    )


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return True


def ascii_upper(text: str) -> str:
    """ASCII case does not matter; `str.upper` would also make an S of the long s."""
    return text.encode().upper().decode()
