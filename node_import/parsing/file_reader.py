"""A file as a header and a series of blocks: the whole of "Files" in the contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.parsing.block import Block
from node_import.parsing.block_parser import BlockParser
from node_import.parsing.decompression import DecompressedStream
from node_import.parsing.freed_memory import keep_freed_memory
from node_import.parsing.header import Header, header_in
from node_import.parsing.rules import ParseRules

__all__ = ["Block", "FileReader", "Header"]

_EMPTY_LINES = re.compile(rb"(?:\r?\n)*+")
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class FileReader:
    """Reads one file from start to end, once, in bounded memory.

    `stream` needs only `read(n)` and gives the object's raw bytes; gzip, zstd and plain are told
    apart by content. `compressed_bytes` is the object's size where it is known. Errors of the
    stream itself pass through.
    """

    def __init__(
        self,
        stream: BinaryIO,
        rules: ParseRules | None = None,
        *,
        compressed_bytes: int | None = None,
    ) -> None:
        keep_freed_memory()
        self._rules = ParseRules() if rules is None else rules
        self._source = DecompressedStream(stream, self._rules, compressed_bytes=compressed_bytes)
        self._header: Header | None = None
        self._data = b""
        self._line = 1
        self._last = False
        self._failure: PermanentError | None = None

    @property
    def bytes_read(self) -> int:
        """How much of the raw stream has been read so far, in bytes."""
        return self._source.bytes_read

    @property
    def csv_bytes(self) -> int:
        """How much has been decompressed so far, in bytes."""
        return self._source.bytes_out

    @property
    def header(self) -> Header:
        """The header, read at first use.

        Raises PermanentError: a fault of the header, EMPTY_FILE, or what stopped its reading.
        """
        if self._header is None:
            self._header = self._read_header()
        return self._header

    def blocks(self) -> Iterator[Block]:
        """The blocks of the file, in order; to be run through once.

        Raises PermanentError (CORRUPT_GZIP, DECOMPRESSED_TOO_LARGE, TOO_MANY_REJECTS) after the
        blocks before the place where the file broke.
        """
        parser = BlockParser(self.header, self._rules, self._line)
        allowed = self._rules.max_rejects
        done = False
        while not done:
            block, taken = parser.parse(self._data, last=self._last)
            self._data = self._data[taken:]
            block, allowed = _with_rejects(block, allowed)
            if block.rows.height or block.rejects or block.fragment:
                yield block
            if allowed < 0:
                raise self._too_many_rejects()
            if self._failure is not None and not taken:
                raise self._failure
            done = self._last and not self._data
            if not taken or len(self._data) < self._rules.block_bytes:
                self._fill()

    def _fill(self) -> None:
        """Read a block more; at least as much as is left over, so that no work is quadratic."""
        if self._last or self._failure is not None:
            return
        wanted = max(self._rules.block_bytes, len(self._data))
        try:
            more = self._source.read(wanted)
        except PermanentError as error:
            self._failure = error
            return
        self._last = not more
        self._data += more

    def _read_header(self) -> Header:
        self._skip_mark()
        while True:
            self._skip_empty_lines()
            if self._data:
                header = header_in(self._data, self._rules, last=self._last)
                if header is not None:
                    self._line += header.raw.count(b"\n")
                    self._data = self._data[len(header.raw) :]
                    return header
            elif self._last:
                raise PermanentError(ErrorCode.EMPTY_FILE, "The file has no header and no rows.")
            if self._failure is not None:
                raise self._failure
            self._fill()

    def _skip_mark(self) -> None:
        """Take off the UTF-8 byte-order mark; refuse a file that has another one."""
        while len(self._data) < len(_UTF8_MARK) and not self._last and self._failure is None:
            self._fill()
        if self._data.startswith(_UTF16_MARKS):
            message = "The file is UTF-16; save it as UTF-8."
            raise PermanentError(ErrorCode.UNSUPPORTED_ENCODING, message)
        self._data = self._data.removeprefix(_UTF8_MARK)

    def _skip_empty_lines(self) -> None:
        end = _EMPTY_LINES.match(self._data).end()  # type: ignore[union-attr]  # always matches
        self._line += self._data.count(b"\n", 0, end)
        self._data = self._data[end:]

    def _too_many_rejects(self) -> PermanentError:
        message = f"The file has more than {self._rules.max_rejects:,} rejected rows."
        return PermanentError(ErrorCode.TOO_MANY_REJECTS, message)


def _with_rejects(block: Block, allowed: int) -> tuple[Block, int]:
    """The block up to the reject that is one too many, and how many more are allowed (-1: none)."""
    left = allowed - len(block.rejects)
    if left >= 0:
        return block, left
    last_line = block.rejects[allowed].line
    rows = block.rows.filter(block.rows["line"] < last_line)
    return Block(rows, block.rejects[:allowed]), -1
