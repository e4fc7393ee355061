"""A source whose content is held fast: the same bytes every time it is opened, or an error."""

from __future__ import annotations

from dataclasses import dataclass

from node_import.objects.location import ObjectLocation


@dataclass(frozen=True, slots=True)
class PinnedObject:
    """A source as it was when it was pinned. `size` is in bytes, as it lies in the store.

    `version` is the ETag of an object, and size and modification time of a file. It names the
    content in the ledger: rows of another version never count as loaded.
    """

    location: ObjectLocation
    size: int
    version: str

    @property
    def url(self) -> str:
        """Where it is; fit for a request's `filePath`."""
        return self.location.url
