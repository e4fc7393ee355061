"""Points in time as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from node_import.cli.since import parse_since
from node_import.errors import UsageError

NOW = datetime(2024, 12, 12, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("45s", timedelta(seconds=45)),
        ("90m", timedelta(minutes=90)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        (" 2w ", timedelta(days=14)),
    ],
)
def test_spans_count_back_from_now(text: str, ago: timedelta) -> None:
    """A number and a unit."""
    assert parse_since(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-12-12", datetime(2024, 12, 12, tzinfo=UTC)),
        ("2024-12-12T09:30:00Z", NOW),
        ("2024-12-12 09:30", NOW),
        ("2024-12-12T09:30:00+02:00", NOW.replace(tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_iso_8601_is_utc_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    """An offset counts; without one a time means the same on every machine."""
    assert parse_since(text) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "5", "5y", "-5m", "1.5h", "2024-13-01", "9999999h", "999999w"]
)
def test_anything_else_is_wrong_usage(text: str) -> None:
    """And the message shows what may be typed."""
    with pytest.raises(UsageError, match="24h"):
        parse_since(text)
