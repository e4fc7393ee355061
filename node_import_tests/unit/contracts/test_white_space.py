"""What is trimmed, and that polars trims the same."""

from __future__ import annotations

import sys

import polars as pl

from node_import.contracts.white_space import WHITE_SPACE, trimmed


def test_fast_and_careful_way_trim_alike() -> None:
    """Over every code point: polars' `strip_chars()` is Unicode's White_Space, as ours."""
    points = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
    stripped = pl.Series([point + "x" + point for point in points]).str.strip_chars().to_list()
    assert {point for point, text in zip(points, stripped, strict=True) if text == "x"} == set(
        WHITE_SPACE
    )


def test_separators_of_ascii_are_no_white_space() -> None:
    """Python's own `strip` would take U+001C to U+001F."""
    assert trimmed("\u00a0\u3000\t\x1fa\x1c ") == "\x1fa\x1c"
