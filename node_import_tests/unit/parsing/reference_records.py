"""One record of a file: where its fields, its quotes and its line end, byte by byte."""

from __future__ import annotations

from typing import NamedTuple

from node_import.contracts.error_codes import ErrorCode

QUOTE = b'"'


class Record(NamedTuple):
    """A record, or of one with a quote fault its first physical line alone.

    `raw` includes the line end; the next record begins at `end`. Of a record with a `fault`,
    `fields` are those before it.
    """

    raw: bytes
    end: int
    fields: list[bytes]
    fault: ErrorCode | None = None
    bare_cr: bool = False
    reached_limit: bool = False


class Broken(NamedTuple):
    """The stream broke before the record's end was seen; it may have been too long by then."""

    reached_limit: bool


class Scan:
    """A walk over one record. `limit` is its most bytes; a line end does not count."""

    def __init__(
        self, text: bytes, start: int, delimiter: bytes, limit: int, *, broken: bool
    ) -> None:
        self.text = text
        self.start = start
        self.at = start
        self.delimiter = delimiter
        self.limit = limit
        self.broken = broken
        self.fields: list[bytes] = []
        self.bare_cr = False

    def read(self) -> Record | Broken:
        while True:
            # Quotes mean something only where a field begins. A quote behind the limit is not
            # looked at: the record has passed the limit outside quotes.
            quoted = self.here(QUOTE) and not self.past_limit()
            fault = self.quoted_field() if quoted else self.plain_field()
            if fault is not None:
                return self.rejected(fault)
            if self.text_ends():  # a last line without its end, or a break
                return self.unseen() if self.broken else self.record(self.at)
            if self.line_end():
                return self.record(self.at + self.line_end())
            if self.past_limit():
                return self.rejected(ErrorCode.VALUE_TOO_LONG)
            self.at += 1

    def plain_field(self) -> ErrorCode | None:
        """Up to a delimiter or a line end; every other byte is text, quotes and CR too."""
        value = bytearray()
        while not self.field_end():
            if self.past_limit():
                return ErrorCode.VALUE_TOO_LONG  # passes the limit outside quotes
            self.bare_cr = self.bare_cr or self.here(b"\r")
            value += self.text[self.at : self.at + 1]
            self.at += 1
        self.fields.append(bytes(value))
        return None

    def quoted_field(self) -> ErrorCode | None:
        """Inside, `""` is a quote, and delimiters and line ends are text."""
        value = bytearray()
        self.at += 1
        while True:
            # It must close before the file ends, and by the limit-th byte of its record.
            if self.at >= len(self.text) or self.past_limit():
                return ErrorCode.UNTERMINATED_QUOTE
            if self.here(QUOTE + QUOTE):
                value += QUOTE
                self.at += 2
            elif self.here(QUOTE):
                self.at += 1
                break
            else:
                value += self.text[self.at : self.at + 1]
                self.at += 1
        if not self.field_end():
            # Anything but a delimiter or a line end behind the closing quote. At a limit that is
            # passed right here, outside quotes, the length counts, whatever else is wrong.
            return ErrorCode.VALUE_TOO_LONG if self.past_limit() else ErrorCode.MALFORMED_QUOTE
        self.fields.append(bytes(value))
        return None

    def rejected(self, fault: ErrorCode) -> Record | Broken:
        if self.broken and self.text_ends() and not self.surely_too_long():
            return self.unseen()  # it is no fault yet: the rest of the record was never seen
        line = physical_line(self.text, self.start)
        if fault == ErrorCode.MALFORMED_QUOTE and content_length(line) > self.limit:
            fault = ErrorCode.VALUE_TOO_LONG  # "whatever else is wrong with it"
        if fault == ErrorCode.VALUE_TOO_LONG:  # "to its line end"
            line = self.text[self.start : self.at] + physical_line(self.text, self.at)
        # Of a quote fault the physical line on which the record began is rejected, alone.
        if self.broken and not line.endswith(b"\n"):
            return self.unseen()
        return Record(
            line,
            self.start + len(line),
            self.fields,
            fault,
            self.bare_cr,
            self.past_limit(),
        )

    def unseen(self) -> Broken:
        return Broken(self.surely_too_long())

    def surely_too_long(self) -> bool:
        """More bytes than the limit are here, even if a last CR is half of a line end."""
        return len(self.text.removesuffix(b"\r")) - self.start > self.limit

    def record(self, end: int) -> Record:
        return Record(self.text[self.start : end], end, self.fields, None, self.bare_cr)

    def here(self, expected: bytes) -> bool:
        return self.text.startswith(expected, self.at)

    def past_limit(self) -> bool:
        """Whether the byte here is behind the record's last allowed one."""
        return self.at - self.start >= self.limit

    def field_end(self) -> bool:
        return self.text_ends() or self.here(self.delimiter) or self.line_end() > 0

    def text_ends(self) -> bool:
        """Nothing here to judge; a CR before a break may be half of a line end."""
        return self.at == len(self.text) or (self.broken and self.text[self.at :] == b"\r")

    def line_end(self) -> int:
        """Bytes of the line end here: LF, CRLF, or none. A CR without LF is a plain character."""
        if self.here(b"\n"):
            return 1
        return 2 if self.here(b"\r\n") else 0


def read_record(
    text: bytes, start: int, delimiter: bytes, limit: int, *, broken: bool
) -> Record | Broken:
    """The record that begins at `start`; `broken`: the end of `text` is no end of the file."""
    return Scan(text, start, delimiter, limit, broken=broken).read()


def physical_line(text: bytes, start: int) -> bytes:
    """From `start` to its LF, or to the end of the file."""
    line_feed = text.find(b"\n", start)
    return text[start:] if line_feed < 0 else text[start : line_feed + 1]


def content_length(line: bytes) -> int:
    return len(line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line)
