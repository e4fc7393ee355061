"""Points in time as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from node_import.errors import UsageError

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime | None = None) -> datetime:
    """`90m`, `24h`, `7d` (ago), or ISO 8601; without an offset it is UTC.

    Raises UsageError for anything else.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            amount, unit = ago.groups()
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[unit]: int(amount)})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        message = f"{text!r} is no point in time; write 90m, 24h, 7d or 2024-12-12T09:00:00Z"
        raise UsageError(message) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
