"""All staging areas of a deployment: finding one by its name, and those that were left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node_import.objects.store import ObjectStore
from node_import.staging.area import LocalStagingArea, StagingArea
from node_import.staging.object_area import STAGING_PREFIX, ObjectStagingArea


@dataclass(frozen=True, slots=True)
class FoundArea:
    """A staging area that holds something; `written`: its last file, seconds since 1970."""

    name: str
    written: float


class StagingAreas(Protocol):
    """Where areas lie."""

    def area(self, name: str) -> StagingArea:
        """The area of that name; it need not exist."""

    def found(self, prefix: str = "") -> Iterator[FoundArea]:
        """Those that exist and whose names begin so."""


class LocalStagingAreas:
    """Folders of one folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def area(self, name: str) -> StagingArea:
        """See `StagingAreas.area`."""
        return LocalStagingArea(self.folder / name)

    def found(self, prefix: str = "") -> Iterator[FoundArea]:
        """See `StagingAreas.found`."""
        for path in self.folder.glob(f"{prefix}*"):
            yield FoundArea(path.name, _written(path))


class ObjectStagingAreas:
    """Prefixes of the importer's bucket, seen by every machine."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def area(self, name: str) -> StagingArea:
        """See `StagingAreas.area`."""
        return ObjectStagingArea(self._store, name)

    def found(self, prefix: str = "") -> Iterator[FoundArea]:
        """See `StagingAreas.found`.

        Raises:
            TransientError: the store is away.
        """
        written: dict[str, float] = {}
        for stored in self._store.own.objects(STAGING_PREFIX + prefix):
            name = stored.key.removeprefix(STAGING_PREFIX).partition("/")[0]
            written[name] = max(written.get(name, 0.0), stored.written)
        return (FoundArea(name, when) for name, when in written.items())


def _written(path: Path) -> float:
    """When a file last came into the folder; another sweeper may remove it this moment."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
