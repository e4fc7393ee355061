"""Compressed files: told by content, whole to the last byte, or broken."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zlib
from functools import partial

import pytest
from backports import zstd

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.parsing import decompression
from node_import.parsing.decompression import DecompressedStream
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.reading import read_whole

# Without the time, which would stand in the names of tests.
gzipped = partial(gzip.compress, mtime=0)
TEXT = b"id,name\n" + b"".join(b"r%d,name %d\n" % (n, n * 7919) for n in range(300))
SKIPPABLE = b"\x53\x2a\x4d\x18" + struct.pack("<I", 4) + b"note"


def decompress(
    data: bytes, *, compressed_bytes: int | None = None, **rules: object
) -> tuple[bytes, ErrorCode | None]:
    stream = DecompressedStream(
        io.BytesIO(data),
        ParseRules(**rules),  # type: ignore[arg-type]
        compressed_bytes=compressed_bytes,
    )
    parts = []
    try:
        while part := stream.read(1_000):
            parts.append(part)
    except PermanentError as error:
        return b"".join(parts), error.code
    assert stream.bytes_read == len(data)
    return b"".join(parts), None


def with_extra_field(member: bytes) -> bytes:
    """The gzip member with FEXTRA, as BGZF writes it."""
    extra = b"BC\x02\x00\x1b\x00"
    flags = bytes([member[3] | 4])
    return member[:3] + flags + member[4:10] + struct.pack("<H", len(extra)) + extra + member[10:]


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        gzipped(TEXT),
        gzipped(TEXT, 0),
        gzipped(TEXT[:100]) + gzipped(b"") + gzipped(TEXT[100:]),
        with_extra_field(gzipped(TEXT)),
        gzipped(TEXT) + b"\0" * 1_000,
        gzipped(TEXT[:100]) + b"\0" * 20 + gzipped(TEXT[100:]),
        zstd.compress(TEXT),
        zstd.compress(TEXT[:100]) + SKIPPABLE + zstd.compress(TEXT[100:]),
        SKIPPABLE + zstd.compress(TEXT),
        zstd.compress(TEXT) + b"\0" * 10,
    ],
)
def test_whole_streams(data: bytes) -> None:
    """Plain, gzip and zstd, in several parts, with what may stand between and behind them."""
    assert decompress(data) == (TEXT, None)


@pytest.mark.parametrize("data", [b"", b"i", b"\x1f", b"\x28\xb5\x2f", b"PK\x03\x04"])
def test_other_beginnings_are_plain(data: bytes) -> None:
    """What does not begin like gzip or zstd is text, however short."""
    assert decompress(data) == (data, None)


@pytest.mark.parametrize(
    ("data", "readable"),
    [
        (gzipped(TEXT)[:-1], TEXT),
        (gzipped(TEXT)[:-8], TEXT),
        (gzipped(TEXT)[:10], b""),
        (b"\x1f\x8b", b""),
        (gzipped(TEXT) + b"x", TEXT),
        (gzipped(TEXT) + b"\0\0x", TEXT),
        (gzipped(TEXT) + gzipped(TEXT)[:5], TEXT),
        (gzipped(TEXT)[:-8] + b"\0" * 8, TEXT),
        (gzipped(TEXT)[:-4] + b"\0" * 4, TEXT),
        (b"\x1f\x8b\x07" + gzipped(TEXT)[3:], b""),
        (b"\x1f\x8b\x08\xe0" + gzipped(TEXT)[4:], b""),
        (zstd.compress(TEXT) + b"x", TEXT),
        (zstd.compress(TEXT) + gzipped(TEXT), TEXT),
        (b"\x28\xb5\x2f\xfd\xff\xff\xff", b""),
        (SKIPPABLE[:-1], b""),
    ],
)
def test_broken_streams(data: bytes, readable: bytes) -> None:
    """Cut, damaged, or followed by something else; what stands before the fault is read."""
    assert decompress(data) == (readable, ErrorCode.CORRUPT_GZIP)


def test_faults_are_those_of_zlib() -> None:
    """Flipped bits and cuts in gzip streams: the same bytes and the same verdict as zlib's."""
    chance = random.Random(4)
    for _ in range(300):
        text = bytes(chance.choices(b"abcdefgh,\n", k=chance.randrange(300)))
        data = bytearray(gzipped(text, chance.choice([0, 1, 9])))
        if chance.random() < 0.3:
            del data[chance.randrange(2, len(data)) :]
        else:
            data[chance.randrange(2, len(data))] ^= 1 << chance.randrange(8)
        assert decompress(bytes(data)) == by_zlib(bytes(data)), bytes(data).hex()


def by_zlib(data: bytes) -> tuple[bytes, ErrorCode | None]:
    decoder, out = zlib.decompressobj(wbits=31), b""
    try:
        for at in range(len(data)):
            out += decoder.decompress(data[at : at + 1])
    except zlib.error:
        return out, ErrorCode.CORRUPT_GZIP
    return out, None if decoder.eof and not decoder.unused_data else ErrorCode.CORRUPT_GZIP


@pytest.mark.parametrize(
    "data",
    [
        gzipped(b"name\n" + TEXT)[:-3],
        gzipped(b"name\n" + TEXT) + b"x",
        zstd.compress(b"name\n" + TEXT) + b"x",
        zstd.compress(b"name\n") + zstd.compress(TEXT)[:-3],
    ],
)
def test_a_readable_header_is_judged_first(data: bytes) -> None:
    """A file whose header is at fault says so, even if its stream breaks further on."""
    assert read_whole(data).error == ErrorCode.NO_REFERENCE_COLUMN


def test_a_header_that_is_cut_cannot_be_read() -> None:
    """Without its line end a header may be anything."""
    assert read_whole(gzipped(b"name")[:-3]).error == ErrorCode.CORRUPT_GZIP


def test_rows_before_the_break_are_read() -> None:
    """All whole records, none of the one that is cut."""
    whole = read_whole(gzipped(TEXT)[:-20], block_bytes=100)
    assert whole.error == ErrorCode.CORRUPT_GZIP
    assert whole.rows
    assert whole.rows == read_whole(TEXT).rows[: len(whole.rows)]


def test_damage_far_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the head is not held any more, a break may cost the last step, but gives no row."""
    monkeypatch.setattr(decompression, "HEAD_BYTES", 100)
    data = bytearray(gzipped(TEXT))
    data[-5] ^= 1
    whole = read_whole(bytes(data))
    assert whole.error == ErrorCode.CORRUPT_GZIP
    assert whole.rows == read_whole(TEXT).rows[: len(whole.rows)]


def test_the_most_decompressed_bytes() -> None:
    """Exactly so many are allowed; what stands before the limit is read."""
    data = gzipped(TEXT)
    assert decompress(data, max_decompressed_bytes=len(TEXT)) == (TEXT, None)
    limited = decompress(data, max_decompressed_bytes=len(TEXT) - 1)
    assert limited == (TEXT[:-1], ErrorCode.DECOMPRESSED_TOO_LARGE)


def test_the_most_times_its_size() -> None:
    """Past so many bytes, no more than 200 times the compressed size may come out."""
    zeros = b"0" * 100_000
    data = gzipped(zeros)
    assert len(zeros) > 200 * len(data)
    assert decompress(data) == (zeros, None)
    for known in (len(data), None):
        out, error = decompress(data, compressed_bytes=known, ratio_applies_after_bytes=100_000)
        assert error == ErrorCode.DECOMPRESSED_TOO_LARGE
        assert out == zeros[:99_999]
    allowed = {"ratio_applies_after_bytes": 100_001}
    assert decompress(data, **allowed) == (zeros, None)  # type: ignore[arg-type]
    assert decompress(data, compressed_bytes=500, ratio_applies_after_bytes=0) == (zeros, None)


def test_a_bomb_stops_at_its_limit() -> None:
    """Hardly more comes out than is allowed, whatever is in."""
    bomb = gzipped(b"id\n" + b"\n" * 50_000_000, 1)
    reader_bytes, error = decompress(bomb, max_decompressed_bytes=1_000_000)
    assert error == ErrorCode.DECOMPRESSED_TOO_LARGE
    assert len(reader_bytes) == 1_000_000


def test_many_tiny_members() -> None:
    """Ten thousand members are read like one."""
    rows = [b"id\n", *(b"r%d\n" % n for n in range(10_000))]
    data = b"".join(gzipped(row, 1) for row in rows)
    assert decompress(data) == (b"".join(rows), None)


@pytest.mark.parametrize("most", [1, 7])
def test_streams_that_give_little_at_a_time(most: int) -> None:
    """A socket gives what it has; magic numbers and members may arrive in pieces."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(most)

    for data in (TEXT, gzipped(TEXT[:50]) + gzipped(TEXT[50:]), zstd.compress(TEXT)):
        stream = DecompressedStream(Slow(data), ParseRules())
        assert stream.read(len(TEXT) + 1) == TEXT
