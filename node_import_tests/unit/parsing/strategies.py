"""Nasty files as they are sent: compressed or not, whole or not, and read by small limits or large.

The tables themselves are in `plain_files`; limits are small enough to be passed by them.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from typing import NamedTuple

from backports import zstd
from hypothesis import strategies as st

from node_import.contracts.node_type import NodeType
from node_import.parsing.rules import ParseRules

BLOCK_BYTES = (1, 2, 3, 7, 16, 64, 4096, ParseRules().block_bytes)


class NastyFile(NamedTuple):
    """What is read, and by which rules."""

    data: bytes
    rules: ParseRules


def pieces_cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in consecutive parts, cut at the given places."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@st.composite
def compressed(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> bytes:
    """A file as one or several gzip members or zstd frames, whole or spoilt at its end."""
    parts = pieces_cut(draw(files), draw(st.lists(st.integers(0, 80), max_size=3)))
    if draw(st.integers(0, 3)) == 0:
        whole = b"".join(zstd.compress(part) for part in parts)
        return draw(st.sampled_from([whole, whole, whole[:-1], whole + b"x"]))
    level = draw(st.sampled_from([0, 1, 9]))
    whole = b"".join(gzip.compress(part, level, mtime=0) for part in parts)
    spoilt = draw(st.integers(0, 9))
    if spoilt < 4:
        return whole
    if spoilt < 6:
        return whole + b"\0" * draw(st.integers(1, 600))
    if spoilt < 8:
        return whole[: draw(st.integers(2, len(whole)))]
    tails = [b"x", b"\0x", b"\n", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08\0", b"id\n1\n"]
    if spoilt == 8:
        return whole + draw(st.sampled_from(tails))
    at = len(whole) - draw(st.integers(1, 8))  # the last member's checksum or length
    return whole[:at] + bytes([whole[at] ^ draw(st.integers(1, 255))]) + whole[at + 1 :]


def named_gzip(data: bytes) -> bytes:
    """A gzip member with every optional header field: extra, name, comment, header checksum."""
    header = (
        b"\x1f\x8b\x08" + bytes([2 | 4 | 8 | 16]) + bytes(6) + b"\x03\0ext" + b"n.csv\0" + b"c\0"
    )
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return header + gzip.compress(data, mtime=0)[10:]


@st.composite
def small_rules(draw: st.DrawFn) -> ParseRules:
    """Limits that a file of a few dozen bytes can pass, each on its own or all together."""
    default = ParseRules()

    def limit(usual: int, *small: int) -> int:
        return draw(st.sampled_from([usual] * len(small) * 2 + list(small)))

    record = limit(default.max_record_bytes, 8, 12, 16, 33)
    return ParseRules(
        default_type=draw(st.sampled_from(NodeType)),
        reference_columns=draw(
            st.sampled_from(
                [default.reference_columns] * 4 + [("name", "id"), ("type_id", "b", "a")]
            )
        ),
        block_bytes=draw(st.sampled_from(BLOCK_BYTES)),
        max_header_bytes=limit(default.max_header_bytes, 8, 16, 24, 40),
        max_columns=limit(default.max_columns, 1, 2, 4),
        max_name_chars=limit(default.max_name_chars, 4, 9, 12),
        max_reference_chars=limit(default.max_reference_chars, 1, 2, 3, 8),
        max_record_bytes=record,
        max_value_bytes=limit(default.max_value_bytes, 1, 3, 7, 16),
        max_rejects=limit(default.max_rejects, 0, 1, 2),
    )


@st.composite
def nasty_files(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> NastyFile:
    """One of `files` with the contract's limits but any block size, or with small limits."""
    rules = st.one_of(
        st.builds(ParseRules, block_bytes=st.sampled_from(BLOCK_BYTES)), small_rules()
    )
    return NastyFile(draw(files), draw(rules))
