"""Compressed streams: a chain of gzip members, or of zstd frames.

Decoders are fed in small portions, so that a bomb stops at its limit, a stream that breaks
loses little of what it held before, and tiny members do not copy the rest of the input again
and again.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from backports import zstd
from isal import igzip_lib

from node_import.sizes import KIB

READ_BYTES = 256 * KIB  # asked of the raw stream at once
STEP_BYTES = 256 * KIB  # at most so much comes out at once, and is lost when a stream breaks
FIRST_FEED_BYTES = KIB  # doubles within a member

_ZEROS = re.compile(rb"\0*+")


class BrokenStreamError(Exception):
    """A compressed stream that is damaged, cut off, or followed by something else."""


class _Decoder(Protocol):
    """One member or frame; the protocol of the standard library's decompressors."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Compression:
    """A format: how its members begin, which beginnings are wrong, and who decodes one."""

    name: str
    begins: Callable[[bytes, int], object]  # a pattern's `match`
    is_wrong: Callable[[bytes, int], object]
    decoder: Callable[[], _Decoder]
    careful_decoder: Callable[[], _Decoder]  # gives every byte before a fault, if fed singly


def _gzip_decoder() -> _Decoder:
    decoder: _Decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return decoder


class _CarefulGzipDecoder:
    """zlib, which gives what stands before a fault where isal gives nothing of the block."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max(max_length, 0))


# RFC 1952: a reserved flag must give an error; isal passes over it.
GZIP = Compression(
    "gzip",
    begins=re.compile(rb"\x1f\x8b").match,
    is_wrong=re.compile(rb"..[^\x08]|...[\x20-\xff]", re.DOTALL).match,
    decoder=_gzip_decoder,
    careful_decoder=_CarefulGzipDecoder,
)
# RFC 8878: a frame, or a skippable frame (pzstd writes them).
ZSTD = Compression(
    "zstd",
    begins=re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18").match,
    is_wrong=re.compile(rb"(?!)").match,
    decoder=zstd.ZstdDecompressor,
    careful_decoder=zstd.ZstdDecompressor,
)
LONGEST_MAGIC = 4


def compression_of(start: bytes) -> Compression | None:
    """The format of a stream that begins so, or None if it is not compressed."""
    return next((known for known in (GZIP, ZSTD) if known.begins(start, 0)), None)


def decompressed(
    compression: Compression,
    start: bytes,
    read: Callable[[], bytes],
    *,
    byte_by_byte: bool = False,
) -> Iterator[bytes]:
    """What the members hold, in steps; `start` is read already, `read()` gives more or b"".

    After the last member only zero bytes may follow. Raises BrokenStreamError, with what was
    decompressed by the last few KiB of input lost unless it is fed `byte_by_byte`.
    """
    source = _Input(start, read)
    while source.fill(LONGEST_MAGIC):
        if not compression.begins(source.data, source.position):
            raise BrokenStreamError("something that is not compressed follows its end")
        if compression.is_wrong(source.data, source.position):
            raise BrokenStreamError("its header is wrong")
        decoder = compression.careful_decoder() if byte_by_byte else compression.decoder()
        feed = 1 if byte_by_byte else FIRST_FEED_BYTES
        while not decoder.eof:
            portion = source.take(feed) if decoder.needs_input else b""
            feed = 1 if byte_by_byte else min(feed * 2, READ_BYTES)
            if step := _step(decoder, portion):
                yield step
        source.position -= len(decoder.unused_data)
        source.skip_zeros()


class _Input:
    """Raw bytes that have been read and not yet been fed."""

    def __init__(self, start: bytes, read: Callable[[], bytes]) -> None:
        self.data = start
        self.position = 0
        self._read = read

    def fill(self, wanted: int) -> bool:
        """Have `wanted` bytes at hand, or all that there are; whether there are any."""
        while len(self.data) - self.position < wanted and (more := self._read()):
            self.data, self.position = self.data[self.position :] + more, 0
        return self.position < len(self.data)

    def take(self, most: int) -> bytes:
        """The next bytes, at least one. What is taken last can be given back."""
        if not self.fill(1):
            raise BrokenStreamError("it ends too early")
        portion = self.data[self.position : self.position + most]
        self.position += len(portion)
        return portion

    def skip_zeros(self) -> None:
        """Skip the zero bytes with which some writers fill up their last block."""
        while self.fill(1):
            self.position = _ZEROS.match(self.data, self.position).end()  # type: ignore[union-attr]
            if self.position < len(self.data):
                return


# The stubs of isal take its exception for an instance.
_ISAL_ERROR = cast("type[Exception]", igzip_lib.IsalError)
_DECODER_ERRORS = (_ISAL_ERROR, zlib.error, zstd.ZstdError, EOFError)


def _step(decoder: _Decoder, portion: bytes) -> bytes:
    try:
        return decoder.decompress(portion, STEP_BYTES)
    except _DECODER_ERRORS as error:
        raise BrokenStreamError(str(error)) from error
