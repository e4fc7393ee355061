"""How long a slice may take: a rule, so that a big slice has time and a small one does not hang.

    values     = rows * (1 + metadata keys): a row of `nodes`, and one of `node_metadata` a key
    statement  = 30 s + values / 3,000,  at most the setting `statement_timeout`
    lock       = 10 s + values / 30,000, at most the setting `lock_timeout`
    slice      = 2 * statement + 15 s

One connection writes 150,000 values a second (25,000 nodes with five values each), so a statement
may be fifty times slower than usual. The most common lock is another import's slice of the same
nodes, which takes about as long as this one. The base is for what does not depend on rows: a
checkpoint, a cold cache, a busy machine.

PostgreSQL ends a statement by the first two. A server that hangs, or that cannot be reached any
more, ends nothing: then the client cuts the connection by the third.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE_SECONDS = 30.0
VALUES_PER_SECOND = 3_000
LOCK_BASE_SECONDS = 10.0
LOCK_VALUES_PER_SECOND = 30_000

# So much longer than two of the longest statements may a slice take, all in all. Together they
# are far more than a slice that makes any progress needs.
GRACE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """In seconds: for a statement, for a wait for a lock, and for the whole slice."""

    statement: float
    lock: float

    @property
    def slice(self) -> float:
        """After so long without an end the connection is cut."""
        return 2 * self.statement + GRACE_SECONDS

    def parameters(self) -> dict[str, str]:
        """Of the statement `limit_time`; PostgreSQL takes whole milliseconds, and 0 is no limit."""
        return {
            "statement_timeout": f"{max(1, round(self.statement * 1000))}ms",
            "lock_timeout": f"{max(1, round(self.lock * 1000))}ms",
        }


def time_limits(
    rows: int, metadata_keys: int, *, most_statement: float, most_lock: float
) -> TimeLimits:
    """The limits of a slice; `most_…` are the settings, which no slice may exceed."""
    values = rows * (1 + metadata_keys)
    return TimeLimits(
        statement=min(BASE_SECONDS + values / VALUES_PER_SECOND, most_statement),
        lock=min(LOCK_BASE_SECONDS + values / LOCK_VALUES_PER_SECOND, most_lock),
    )
