"""Dagster's run queue, looked at twice a second.

Runs wait in it for a moment only, since the job table is the queue; but a whole number of seconds
is the least that can be configured, and half of it is what an import waits on average.
"""

from __future__ import annotations

from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator

# The daemon sleeps half a second at a time until so long has passed since it last looked.
LOOK_SECONDS = 0.4


class PromptRunQueue(QueuedRunCoordinator):
    """`QueuedRunCoordinator`, configured like it but for `dequeue_interval_seconds`."""

    @property
    def dequeue_interval_seconds(self) -> float:  # type: ignore[override]
        """How often the daemon looks for runs to launch."""
        return LOOK_SECONDS
