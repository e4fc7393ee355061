"""The header record: its columns, its delimiter, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.parsing.column_names import normalised_name
from node_import.parsing.delimiter import delimiter_of
from node_import.parsing.record_fields import field_splitter, unquoted_text
from node_import.parsing.record_scanner import Extent, Kind, RecordScanner
from node_import.parsing.rules import ParseRules

TYPE_COLUMN = "type"


@dataclass(frozen=True, slots=True)
class Header:
    """What the first record of a file says about the others."""

    raw: bytes  # its own bytes with its line end; no byte-order mark, no empty lines before it
    columns: tuple[str, ...]  # normalised, in file order
    delimiter: str
    reference_column: str  # one of columns
    type_column: str | None
    metadata_keys: tuple[str, ...]  # the other columns in file order; key i is row column v{i}


def header_in(data: bytes, rules: ParseRules, *, last: bool) -> Header | None:
    """The header that begins `data`, or None if more of the file is needed to read it.

    `data` begins with the header's first byte; `last` says that the file ends with it. Raises
    PermanentError with the code of its first fault, in the contract's order.
    """
    delimiter = delimiter_of(data, rules.max_header_bytes, complete=last)
    if delimiter is None:
        return None
    extent = RecordScanner(data, delimiter, rules.max_header_bytes, last=last).scan(0)
    if extent is None:
        return None
    text_fields = _checked_fields(data, extent, delimiter, rules)
    return _header(data[: extent.end], text_fields, delimiter.decode(), rules)


def _checked_fields(data: bytes, extent: Extent, delimiter: bytes, rules: ParseRules) -> list[str]:
    """The fields of the header as text, if its bytes and quotes are right."""
    unterminated = extent.kind is Kind.UNTERMINATED_QUOTE
    passes_limit = unterminated and len(data) > rules.max_header_bytes
    if extent.kind is Kind.TOO_LONG or passes_limit:
        size = f"{rules.max_header_bytes:,} bytes"
        raise _fault(ErrorCode.SCHEMA_VIOLATION, f"The header is longer than {size}.")
    raw, content = data[: extent.end], data[: extent.content_end]
    _check_encoding(raw)
    if extent.kind is not Kind.RECORD:
        raise _fault(ErrorCode.SCHEMA_VIOLATION, "A quoted name in the header does not end well.")
    if b"\r" in unquoted_text(content, delimiter):
        message = "The header has a carriage return without a line feed."
        raise _fault(ErrorCode.SCHEMA_VIOLATION, message)
    return [field.decode() for field in field_splitter(delimiter)(content)]


def _check_encoding(raw: bytes) -> None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        message = f"The header is not UTF-8 (byte {error.start + 1}); save the file as UTF-8."
        raise _fault(ErrorCode.UNSUPPORTED_ENCODING, message) from error
    if b"\0" in raw:
        message = "The header holds a NUL character; save the file as UTF-8."
        raise _fault(ErrorCode.UNSUPPORTED_ENCODING, message)


def _header(raw: bytes, fields: Sequence[str], delimiter: str, rules: ParseRules) -> Header:
    """The header of these fields, if their names are right."""
    if len(fields) > rules.max_columns:
        message = f"The header has {len(fields):,} columns; {rules.max_columns:,} are allowed."
        raise _fault(ErrorCode.SCHEMA_VIOLATION, message)
    columns = tuple(normalised_name(field, at) for at, field in enumerate(fields, start=1))
    for position, name in enumerate(columns, start=1):
        if len(name) > rules.max_name_chars:
            message = (
                f"The name of column {position} has more than {rules.max_name_chars} characters."
            )
            raise _fault(ErrorCode.SCHEMA_VIOLATION, message)
    _check_distinct(columns, fields)
    reference_column = _reference_column(columns, rules)
    type_column = TYPE_COLUMN if TYPE_COLUMN in columns else None
    special = {reference_column, type_column}
    return Header(
        raw=raw,
        columns=columns,
        delimiter=delimiter,
        reference_column=reference_column,
        type_column=None if type_column == reference_column else type_column,
        metadata_keys=tuple(name for name in columns if name not in special),
    )


def _check_distinct(columns: Sequence[str], fields: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for position, name in enumerate(columns):
        earlier = first.setdefault(name, position)
        if earlier != position:
            message = (
                f"Columns {earlier + 1} ({fields[earlier]!r}) and {position + 1}"
                f" ({fields[position]!r}) have the same name, {name}."
            )
            raise _fault(ErrorCode.DUPLICATE_HEADER, message)


def _reference_column(columns: Sequence[str], rules: ParseRules) -> str:
    for name in rules.reference_columns:
        if name in columns:
            return name
    wanted = ", ".join(rules.reference_columns)
    message = f"The header has no reference column; name one of its columns {wanted}."
    raise _fault(ErrorCode.NO_REFERENCE_COLUMN, message)


def _fault(code: ErrorCode, message: str) -> PermanentError:
    return PermanentError(code, message)
