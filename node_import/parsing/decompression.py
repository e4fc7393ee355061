"""The bytes of a file, decompressed; told gzip, zstd or plain by its first bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.parsing.compression import (
    LONGEST_MAGIC,
    READ_BYTES,
    BrokenStreamError,
    Compression,
    compression_of,
    decompressed,
)
from node_import.parsing.rules import ParseRules
from node_import.sizes import MIB

HEAD_BYTES = MIB  # of a stream that breaks within so much input, every readable byte is read


class DecompressedStream:
    """A reader of the decompressed bytes of `stream`, which needs only `read(n)`.

    `compressed_bytes` is the size of the whole object, the measure of the ratio limit; without
    it the measure is what has been read so far. `bytes_read` counts the raw bytes, `bytes_out`
    the decompressed ones.
    """

    def __init__(
        self, stream: BinaryIO, rules: ParseRules, *, compressed_bytes: int | None = None
    ) -> None:
        self._stream = stream
        self._rules = rules
        self._compressed_bytes = compressed_bytes
        self._step = b""
        self._taken = 0  # bytes of the step that are read already
        self._head = b""
        self._steps = self._all_steps()
        self._failure: PermanentError | None = None
        self.bytes_read = 0
        self.bytes_out = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only where the stream ends or breaks.

        Raises PermanentError (CORRUPT_GZIP, DECOMPRESSED_TOO_LARGE) after the last good byte.
        """
        parts: list[bytes] = []
        missing = size
        while missing > 0:
            if self._taken == len(self._step):
                self._step, self._taken = self._next_step(), 0
                if not self._step:
                    break
            part = self._step[self._taken : self._taken + missing]
            parts.append(part)
            self._taken += len(part)
            missing -= len(part)
        if not parts and self._failure is not None:
            raise self._failure
        return b"".join(parts)

    def _next_step(self) -> bytes:
        """More decompressed bytes; none at the end, or when the stream has broken."""
        if self._failure is not None:
            return b""
        try:
            step = next(self._steps, b"")
        except PermanentError as error:
            self._failure = error
            return b""
        step = step[: self._left_below_limit(len(step))]
        self.bytes_out += len(step)
        return step

    def _left_below_limit(self, wanted: int) -> int:
        """How many of `wanted` more bytes may come out; a failure follows if not all may."""
        rules = self._rules
        compressed = self._compressed_bytes or self.bytes_read
        by_ratio = max(
            rules.max_decompression_ratio * compressed, rules.ratio_applies_after_bytes - 1
        )
        left = min(rules.max_decompressed_bytes, by_ratio) - self.bytes_out
        if wanted > left:
            limit = f"{rules.max_decompressed_bytes:,} bytes"
            if by_ratio < rules.max_decompressed_bytes:
                limit = f"{rules.max_decompression_ratio} times its compressed size"
            message = f"The file is larger than {limit} when decompressed."
            self._failure = PermanentError(ErrorCode.DECOMPRESSED_TOO_LARGE, message)
        return left

    def _read_raw(self) -> bytes:
        data = self._stream.read(READ_BYTES)
        if self.bytes_read < HEAD_BYTES:
            self._head += data
        self.bytes_read += len(data)
        return data

    def _all_steps(self) -> Iterator[bytes]:
        start = b""
        while len(start) < LONGEST_MAGIC and (more := self._read_raw()):
            start += more
        compression = compression_of(start)
        if compression is None:
            yield from self._plain(start)
            return
        try:
            yield from decompressed(compression, start, self._read_raw)
        except BrokenStreamError as error:
            yield from self._salvaged(compression)
            message = f"The file is damaged: its {compression.name} stream is broken ({error})."
            raise PermanentError(ErrorCode.CORRUPT_GZIP, message) from error

    def _plain(self, start: bytes) -> Iterator[bytes]:
        while start:
            yield start
            start = self._read_raw()

    def _salvaged(self, compression: Compression) -> Iterator[bytes]:
        """What else can be read of a short stream that broke, when fed byte by byte."""
        if self.bytes_read > len(self._head):
            return
        done = self.bytes_out
        try:
            for step in decompressed(compression, self._head, bytes, byte_by_byte=True):
                skipped = min(done, len(step))
                done -= skipped
                if len(step) > skipped:
                    yield step[skipped:]
        except BrokenStreamError:
            return
