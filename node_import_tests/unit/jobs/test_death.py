"""How long a job rests after its run died."""

from __future__ import annotations

from node_import.jobs.death import backoff_seconds


def test_each_death_doubles_the_rest() -> None:
    """From five seconds to five minutes, however often a run dies."""
    assert [backoff_seconds(died) for died in range(1, 9)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert backoff_seconds(10_000) == 300
