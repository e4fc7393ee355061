"""Compressed streams: a chain of gzip members, or of zstd frames.

Decoders are fed in small portions, so that a bomb stops at its limit, a stream that breaks
loses little of what it held before, and tiny members do not copy the rest of the input again
and again.
"""

from __future__ import annotations

import re
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
    """A format: how its members begin, and who decodes one."""

    name: str
    begins: Callable[[bytes, int], object]  # a pattern's `match`
    decoder: Callable[[], _Decoder]


def _gzip_decoder() -> _Decoder:
    decoder: _Decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return decoder


GZIP = Compression("gzip", re.compile(rb"\x1f\x8b").match, _gzip_decoder)
# RFC 8878: a frame, or a skippable frame (pzstd writes them).
ZSTD = Compression(
    "zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18").match, zstd.ZstdDecompressor
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
    data, position = start, 0
    while True:
        while len(data) - position < LONGEST_MAGIC and (more := read()):
            data, position = data[position:] + more, 0
        if position == len(data):
            return
        if not compression.begins(data, position):
            raise BrokenStreamError("something that is not compressed follows its end")
        decoder = compression.decoder()
        feed = 1 if byte_by_byte else FIRST_FEED_BYTES
        while not decoder.eof:
            portion = b""
            if decoder.needs_input:
                if position == len(data):
                    data, position = read(), 0
                if not data:
                    raise BrokenStreamError("it ends too early")
                portion = data[position : position + feed]
                position += len(portion)
                feed = 1 if byte_by_byte else min(feed * 2, READ_BYTES)
            if step := _step(decoder, portion):
                yield step
        position -= len(decoder.unused_data)
        data, position = _without_zeros(data, position, read)


# The stubs of isal take its exception for an instance.
_ISAL_ERROR = cast("type[Exception]", igzip_lib.IsalError)
_DECODER_ERRORS = (_ISAL_ERROR, zstd.ZstdError, EOFError)


def _step(decoder: _Decoder, portion: bytes) -> bytes:
    try:
        return decoder.decompress(portion, STEP_BYTES)
    except _DECODER_ERRORS as error:
        raise BrokenStreamError(str(error)) from error


def _without_zeros(data: bytes, position: int, read: Callable[[], bytes]) -> tuple[bytes, int]:
    """Skip the zero bytes with which some writers fill up their last block."""
    while True:
        position = _ZEROS.match(data, position).end()  # type: ignore[union-attr]  # always matches
        if position < len(data):
            return data, position
        data, position = read(), 0
        if not data:
            return data, position
