"""The staging area of one job: where `stream_parse` leaves rows and `load_batch` finds them.

Whatever is in it can be made again from the source, so nothing is lost if it is deleted: a loader
that misses a file says so, the job is FAILED, and whoever runs it again parses the source again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol


class StagingArea(Protocol):
    """Named, write-once files of one job. A name has no slashes."""

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A new file; visible under its name only after the block ends without an error."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`. Raises FileNotFoundError if the file is gone."""

    def open(self, name: str) -> BinaryIO:
        """The whole file, for reading from its start."""

    def remove(self) -> None:
        """Delete all of it; nothing happens if there is nothing."""


class LocalStagingArea:
    """A folder on this machine's disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """See `StagingArea.write`; a rename makes the file appear whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{name}.part"
        with unfinished.open("wb") as file:
            yield file
        unfinished.rename(self.folder / name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `StagingArea.read`."""
        with (self.folder / name).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def open(self, name: str) -> BinaryIO:
        """See `StagingArea.open`."""
        return (self.folder / name).open("rb")

    def remove(self) -> None:
        """See `StagingArea.remove`."""
        shutil.rmtree(self.folder, ignore_errors=True)
