"""One record at a time, with care: a row, or the reject that says what is wrong with it.

The fast way (`column_checks`) only tells which records of many are good; the code, the column
and the sentence of a bad one always come from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.node_type import NodeType
from node_import.contracts.white_space import trimmed
from node_import.parsing.header import Header
from node_import.parsing.record_fields import field_splitter
from node_import.parsing.record_scanner import Kind
from node_import.parsing.reject import Reject
from node_import.parsing.rules import ParseRules

NODE_TYPES = frozenset(NodeType)

# line, reference, type, then the metadata values in the order of the header's keys
Row = tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class _Problem:
    code: ErrorCode
    message: str
    column: str | None = None


def node_type_of(text: str, default: NodeType) -> NodeType | None:
    """The type that a type field names, or None: ASCII case and white space do not matter."""
    name = trimmed(text)
    if not name:
        return default
    upper = name.upper()  # "ſ" and "ı" become ASCII letters: only ASCII may
    return NodeType(upper) if name.isascii() and upper in NODE_TYPES else None


class RecordJudge:
    """Judges the records of one file by its header and rules."""

    def __init__(self, header: Header, rules: ParseRules) -> None:
        self._rules = rules
        self._columns = header.columns
        self._reference_at = header.columns.index(header.reference_column)
        self._type_at = (
            header.columns.index(header.type_column) if header.type_column is not None else None
        )
        special = {self._reference_at, self._type_at}
        self._metadata_at = [at for at in range(len(header.columns)) if at not in special]
        self._split = field_splitter(header.delimiter.encode())

    def row_or_reject(self, line: int, record: bytes, content: bytes) -> Row | Reject:
        """Judge a record whose quotes are right; `content` is `record` without its line end."""
        fields = self._split(content)
        problem = encoding_problem(record) or self._count_problem(len(fields))
        if problem is None:
            values = [field.decode() for field in fields]
            problem = self._value_problem(values)
            if problem is None:
                return self._row(line, values)
        reference = self._reference_in(fields)
        return Reject(line, problem.code, problem.column, problem.message, record, reference)

    def entry(self, line: int, reference: str, record: bytes) -> Row | Reject:
        """Judge an entry of a list of references; `record` is its line in the reject file."""
        problem = self._value_problem([reference])
        if problem is None:
            return self._row(line, [reference])
        return Reject(line, problem.code, problem.column, problem.message, record, None)

    def bad_record(self, line: int, record: bytes, kind: Kind) -> Reject:
        """The reject of a record, or physical line, that cannot be cut into fields."""
        problem = None if kind is Kind.TOO_LONG else encoding_problem(record)
        problem = problem or self.whole_problem(kind)
        return Reject(line, problem.code, None, problem.message, record, None)

    def whole_problem(self, kind: Kind) -> _Problem:
        """What is wrong with a record that cannot be cut into fields."""
        limit = f"{self._rules.max_record_bytes:,} bytes"
        if kind is Kind.TOO_LONG:
            return _Problem(ErrorCode.VALUE_TOO_LONG, f"The record is longer than {limit}.")
        if kind is Kind.MALFORMED_QUOTE:
            return _Problem(
                ErrorCode.MALFORMED_QUOTE,
                "Something other than a delimiter or a line end follows a closing quote;"
                " a quote inside a quoted value is written twice.",
            )
        return _Problem(
            ErrorCode.UNTERMINATED_QUOTE,
            f"A quoted value does not close before the file ends, or within {limit} of its record.",
        )

    def _count_problem(self, count: int) -> _Problem | None:
        expected = len(self._columns)
        if count == expected:
            return None
        message = f"The row has {_fields(count)}; the header has {_fields(expected)}."
        return _Problem(ErrorCode.COLUMN_COUNT_MISMATCH, message)

    def _value_problem(self, values: list[str]) -> _Problem | None:
        return (
            self._reference_problem(trimmed(values[self._reference_at]))
            or self._type_problem(values)
            or self._length_problem(values)
        )

    def _reference_problem(self, reference: str) -> _Problem | None:
        column = self._columns[self._reference_at]
        limit = self._rules.max_reference_chars
        if not reference:
            message = f"The row has no reference: its {column} is empty."
            return _Problem(ErrorCode.MISSING_REFERENCE_ID, message, column)
        if len(reference) > limit:
            message = f"The reference has {len(reference):,} characters; {limit} are allowed."
            return _Problem(ErrorCode.REFERENCE_ID_TOO_LONG, message, column)
        return None

    def _type_problem(self, values: list[str]) -> _Problem | None:
        if self._type_at is None:
            return None
        text = values[self._type_at]
        if node_type_of(text, self._rules.default_type) is not None:
            return None
        shown = text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
        message = f"The type {shown!r} is none of {', '.join(NodeType)}."
        return _Problem(ErrorCode.INVALID_TYPE, message, self._columns[self._type_at])

    def _length_problem(self, values: list[str]) -> _Problem | None:
        limit = self._rules.max_value_bytes
        for column, value in zip(self._columns, values, strict=True):
            if len(value) * 4 > limit and (size := len(value.encode())) > limit:
                message = f"The value of {column} has {size:,} bytes; {limit:,} are allowed."
                return _Problem(ErrorCode.VALUE_TOO_LONG, message, column)
        return None

    def _row(self, line: int, values: list[str]) -> Row:
        default = self._rules.default_type
        type_text = "" if self._type_at is None else values[self._type_at]
        node_type = node_type_of(type_text, default)
        reference = trimmed(values[self._reference_at])
        metadata = (values[at] or None for at in self._metadata_at)
        return (line, reference, str(node_type), *metadata)

    def _reference_in(self, fields: list[bytes]) -> str | None:
        """The reference of a bad record, if it can be told."""
        if self._reference_at >= len(fields):
            return None
        try:
            reference = trimmed(fields[self._reference_at].decode())
        except UnicodeDecodeError:
            return None
        well_formed = 1 <= len(reference) <= self._rules.max_reference_chars
        return reference if well_formed and "\0" not in reference else None


_SHOWN_CHARS = 40


def _fields(count: int) -> str:
    return f"{count:,} field" if count == 1 else f"{count:,} fields"


def encoding_problem(record: bytes) -> _Problem | None:
    """What is wrong with the bytes of a record, whatever they say."""
    try:
        record.decode()
    except UnicodeDecodeError as error:
        message = f"Byte {error.start + 1:,} of the record is not UTF-8."
        return _Problem(ErrorCode.INVALID_UTF8, message)
    if b"\0" in record:
        message = f"Byte {record.index(0) + 1:,} of the record is a NUL character."
        return _Problem(ErrorCode.NUL_CHARACTER, message)
    return None
