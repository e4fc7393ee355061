"""Compressed files that are hostile as streams."""

from __future__ import annotations

import gzip
from dataclasses import replace

from backports import zstd

from node_import.contracts.error_codes import ErrorCode as Code
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.hostile.case import HostileFile
from node_import_tests.unit.parsing.strategies import named_gzip

TABLE = b"id,v\n1,x\n2,y\n"
WHOLE = gzip.compress(TABLE, mtime=0)
BROKEN = Code.CORRUPT_GZIP
BOMB = gzip.compress(b"id\n" + b"\n" * 60_000, mtime=0)


def member(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


FILES = (
    HostileFile("a gzip of nothing", member(b""), Code.EMPTY_FILE),
    HostileFile("a gzip of empty lines", member(b"\n\r\n"), Code.EMPTY_FILE),
    HostileFile("a gzip with every optional field", named_gzip(TABLE), rows=("1", "2")),
    HostileFile(
        "a member a byte",
        b"".join(member(TABLE[at : at + 1]) for at in range(len(TABLE))),
        rows=("1", "2"),
    ),
    HostileFile(
        "members cut inside a character", member(b"id\n\xc3") + member(b"\xa9\n"), rows=("é",)
    ),
    HostileFile(
        "empty members between full ones",
        member(b"") + WHOLE + member(b"") + member(b"3,z"),
        rows=("1", "2", "3"),
    ),
    HostileFile(
        "a byte-order mark at the second member is text",
        WHOLE + member(b"\xef\xbb\xbf3,z\n"),
        rows=("1", "2", "\ufeff3"),
    ),
    HostileFile("zero bytes behind the last member", WHOLE + b"\0" * 1000, rows=("1", "2")),
    HostileFile("text behind the last member", WHOLE + b"3,z\n", BROKEN, rows=("1", "2")),
    HostileFile("text behind zero bytes", WHOLE + b"\0\0x", BROKEN, rows=("1", "2")),
    HostileFile(
        "half a magic number behind the last member", WHOLE + b"\x1f", BROKEN, rows=("1", "2")
    ),
    HostileFile("the magic number alone", b"\x1f\x8b", BROKEN),
    HostileFile("a gzip header alone", WHOLE[:10], BROKEN),
    HostileFile("an unknown compression method", b"\x1f\x8b\x07" + WHOLE[3:], BROKEN),
    HostileFile("a last byte missing", WHOLE[:-1], BROKEN, rows=("1", "2")),
    HostileFile("no checksum and no length", WHOLE[:-8], BROKEN, rows=("1", "2")),
    HostileFile("a wrong checksum", WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:], BROKEN, rows=("1", "2")),
    HostileFile("a wrong length", WHOLE[:-4] + b"\0\0\0\1", BROKEN, rows=("1", "2")),
    HostileFile(
        "a break inside a row", gzip.compress(b"id\n1\n22", 0, mtime=0)[:-9], BROKEN, rows=("1",)
    ),
    HostileFile("a break inside the header", gzip.compress(b"id,name", 0, mtime=0)[:-9], BROKEN),
    HostileFile(
        "a break and no reference column", member(b"name\nx\n")[:-3], Code.NO_REFERENCE_COLUMN
    ),
    HostileFile(
        "a break and a bad header quote", member(b'"id"x\n1\n')[:-3], Code.SCHEMA_VIOLATION
    ),
    HostileFile(
        "a break a byte behind the header's limit",
        gzip.compress(b"x" * 9, 0, mtime=0)[:-1],
        Code.SCHEMA_VIOLATION,
        rules=replace(ParseRules(), max_header_bytes=8),
    ),
    HostileFile(
        "a break at a CR behind the header's limit",
        gzip.compress(b"x" * 8 + b"\r", 0, mtime=0)[:-1],
        BROKEN,
        rules=replace(ParseRules(), max_header_bytes=8),
    ),
    HostileFile(
        "a break right at the header's limit",
        gzip.compress(b"x" * 8, 0, mtime=0)[:-1],
        BROKEN,
        rules=replace(ParseRules(), max_header_bytes=8),
    ),
    HostileFile("a break behind empty lines", member(b"\n\n")[:-3], BROKEN),
    HostileFile(
        "a second member that breaks",
        WHOLE + gzip.compress(b"3,z\n", 0, mtime=0)[:-9],
        BROKEN,
        rows=("1", "2"),
    ),
    HostileFile("a gzip in a gzip", member(WHOLE), Code.UNSUPPORTED_ENCODING),
    HostileFile(
        "UTF-16 in a gzip", member("\ufeffid\n1\n".encode("utf-16-le")), Code.UNSUPPORTED_ENCODING
    ),
    HostileFile("zstd", zstd.compress(TABLE), rows=("1", "2")),
    HostileFile(
        "several zstd frames", zstd.compress(b"id\n1") + zstd.compress(b"2\n3\n"), rows=("12", "3")
    ),
    HostileFile("a zstd frame that breaks", zstd.compress(TABLE)[:-1], BROKEN, rows=("1",)),
    HostileFile(
        "text behind the last zstd frame", zstd.compress(TABLE) + b"x", BROKEN, rows=("1", "2")
    ),
    HostileFile("a zstd magic number alone", b"\x28\xb5\x2f\xfd", BROKEN),
    HostileFile("a zip archive", b"PK\x03\x04\x14\0\0\0\x08\0id\n", Code.UNSUPPORTED_ENCODING),
    HostileFile(
        "a bomb of empty lines",
        BOMB,
        Code.DECOMPRESSED_TOO_LARGE,
        rules=replace(ParseRules(), ratio_applies_after_bytes=4096),
    ),
    HostileFile("a high ratio in a small file", BOMB),
    HostileFile(
        "more bytes out than allowed",
        member(b"id\n" + b"1\n" * 100),
        Code.DECOMPRESSED_TOO_LARGE,
        rows=("1",) * 48,
        rules=replace(ParseRules(), max_decompressed_bytes=100),
    ),
)
