"""Bytes as they come out of a compressed file, a byte in at a time, and why they ended early."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

from backports import zstd

from node_import.contracts.error_codes import ErrorCode
from node_import.parsing.rules import ParseRules

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Plain(NamedTuple):
    """All bytes that can be had; `broken` says why there are no more, None at a proper end."""

    data: bytes
    broken: ErrorCode | None


class Decompressor(Protocol):
    """One gzip member or one zstd frame."""

    def decompress(self, data: bytes, /) -> bytes: ...

    @property
    def eof(self) -> bool: ...


def gzip_member() -> Decompressor:
    return zlib.decompressobj(wbits=31)


def reference_decompress(data: bytes, rules: ParseRules) -> Plain:
    """Told by content: gzip and zstd by their first bytes, anything else is plain."""
    if data.startswith(GZIP_MAGIC):
        plain = read_members(data, gzip_member, zero_padding=True)
    elif data.startswith(ZSTD_MAGIC):
        plain = read_members(data, zstd.ZstdDecompressor, zero_padding=False)
    else:
        return Plain(data, None)
    # Too large: over the absolute limit, or, once so much is out, over a multiple of the file.
    allowed = min(
        rules.max_decompressed_bytes,
        max(rules.ratio_applies_after_bytes, rules.max_decompression_ratio * len(data)),
    )
    if len(plain.data) > allowed:
        return Plain(plain.data[:allowed], ErrorCode.DECOMPRESSED_TOO_LARGE)
    return plain


def read_members(data: bytes, member: Callable[[], Decompressor], *, zero_padding: bool) -> Plain:
    """Member after member; what follows the last must be nothing (gzip: or zero bytes)."""
    out = bytearray()
    at = 0
    while at < len(data):
        if at > 0 and zero_padding and not data[at:].strip(b"\0"):
            break
        decompressor: Decompressor = member()
        while not decompressor.eof:
            if at == len(data):  # the file ends inside a member
                return Plain(bytes(out), ErrorCode.CORRUPT_GZIP)
            try:
                out += decompressor.decompress(data[at : at + 1])
            except (zlib.error, zstd.ZstdError):
                return Plain(bytes(out), ErrorCode.CORRUPT_GZIP)
            at += 1
    return Plain(bytes(out), None)
