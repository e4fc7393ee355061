"""Signs of life of a long step, in the log of its run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

# A line is an event in Dagster's database, and a commit there: 20 ms.
SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Says how far a step is, at most every ten seconds; nothing of a step that is shorter."""

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._said = clock()

    def say(self, message: str, *numbers: object) -> None:
        """Log `message % numbers`, if it is time."""
        now = self._clock()
        if now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            self._log.info(message, *numbers)
