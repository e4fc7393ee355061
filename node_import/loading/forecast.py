"""What the next slice will find: what the slices before it found."""

from __future__ import annotations


class Forecast:
    """Of one job. Slices are cut by hash, so each is a sample of the file.

    Used by several threads: the worst that a race does is one look too many or too few.
    """

    def __init__(self) -> None:
        self._has_new = False
        self._has_stored = False

    def all_new(self) -> bool:
        """Whether nodes were looked for and none was ever there."""
        return self._has_new and not self._has_stored

    def learn(self, *, all_new: bool) -> None:
        """What the nodes of one slice were."""
        if all_new:
            self._has_new = True
        else:
            self._has_stored = True
