"""A step is interrupted: its worker is told to stop, or somebody canceled the run.

Both come as the same interrupt. A worker that is told to stop (a container's end, a pod's eviction)
lets the slices that run come to their end. A run that is canceled does not: who cancels wants
nothing more to be loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from node_import.pipeline.workshop import Run

# To ask for the run's state is a query.
SECONDS_BETWEEN_LOOKS = 1.0


class Patience:
    """How many seconds running slices have from the interrupt on; the `patience` of a load."""

    def __init__(
        self, run: Run, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._seconds = seconds
        self._clock = clock
        self._next_look: float | None = None
        self._is_over = False

    def __call__(self) -> float:
        """0 if the run is being canceled; once it was, it stays so."""
        is_first = self._next_look is None
        if self._next_look is None or self._clock() >= self._next_look:
            self._next_look = self._clock() + SECONDS_BETWEEN_LOOKS
            self._is_over = self._is_over or self._run.is_being_canceled()
        if is_first:
            self._say()
        return 0.0 if self._is_over else self._seconds

    def _say(self) -> None:
        if self._is_over:
            self._run.log.warning("The run is canceled: what is being loaded is rolled back.")
            return
        line = "The worker is told to stop: no slice is begun any more, those that run have %g s."
        self._run.log.warning(line, self._seconds)
