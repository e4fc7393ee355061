"""The rule for how long a slice may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.loading.time_limits import GRACE_SECONDS, TimeLimits, time_limits

NONE = {"most_statement": 1e9, "most_lock": 1e9}
ROWS = st.integers(0, 10_000_000)
KEYS = st.integers(0, 1_000)


def test_a_slice_without_rows_has_the_base() -> None:
    """Half a minute for a statement and ten seconds for a lock, whatever there is to do."""
    assert time_limits(0, 5, **NONE) == TimeLimits(statement=30, lock=10)


def test_the_limits_of_an_ordinary_slice() -> None:
    """110,000 rows of five values, 8 MiB of CSV, take 5 s: they get four minutes."""
    limits = time_limits(110_000, 5, most_statement=300, most_lock=30)
    assert limits.statement == pytest.approx(250)
    assert limits.lock == 30
    assert limits.slice == pytest.approx(500 + GRACE_SECONDS)


@given(ROWS, ROWS, KEYS, KEYS)
def test_more_to_do_is_never_less_time(rows: int, more: int, keys: int, more_keys: int) -> None:
    """In rows and in keys, for all three limits."""
    small, big = time_limits(rows, keys, **NONE), time_limits(rows + more, keys + more_keys, **NONE)
    assert small.statement <= big.statement
    assert small.lock <= big.lock
    assert small.slice <= big.slice


@given(ROWS, KEYS, st.floats(0.001, 1_000), st.floats(0.001, 1_000))
def test_the_settings_are_the_most(
    rows: int, keys: int, most_statement: float, most_lock: float
) -> None:
    """No slice is given more, and one that is given less is given at least the base."""
    limits = time_limits(rows, keys, most_statement=most_statement, most_lock=most_lock)
    assert min(30, most_statement) <= limits.statement <= most_statement
    assert min(10, most_lock) <= limits.lock <= most_lock


@pytest.mark.parametrize(
    ("seconds", "text"), [(30, "30000ms"), (0.25, "250ms"), (0.0001, "1ms"), (299.9996, "300000ms")]
)
def test_a_limit_is_never_written_as_none(seconds: float, text: str) -> None:
    """PostgreSQL takes whole milliseconds, and takes 0 for no limit at all."""
    assert TimeLimits(seconds, seconds).parameters() == {
        "statement_timeout": text,
        "lock_timeout": text,
    }
