"""Reading files of this machine from the configured folders, and from nowhere else.

A path was resolved when its request was read. Between that and the opening somebody may put a
link where a folder or the file was, so the walk from the root opens each part relative to the
one before and follows no link: what is opened is what was checked.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError, TransientError
from node_import.objects.location import LocalFile, ObjectLocation, root_of
from node_import.objects.pinned import PinnedObject

BUFFER_BYTES = 256 * 1024

# O_NONBLOCK: a FIFO without a writer would hold the opening for ever.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# O_PATH, where there is one: a folder that may be passed through need not be readable.
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

# Answers of the system that mean "not this path"; any other is trouble with the disk.
_REFUSALS = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,  # a link, or the end of a circle of links
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENXIO,  # a socket
    }
)


def pin_file(location: LocalFile, roots: Sequence[str | Path]) -> PinnedObject:
    """The file as it is now. Raises PermanentError FILE_NOT_FOUND or PATH_NOT_ALLOWED."""
    descriptor = _open_inside(location, roots)
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return PinnedObject(location, status.st_size, _version(status))


def open_file(pinned: PinnedObject, roots: Sequence[str | Path]) -> BinaryIO:
    """The pinned file from its start. FILE_CHANGED if it is no longer what was pinned."""
    assert isinstance(pinned.location, LocalFile)  # noqa: S101 - the store tells the kinds apart
    descriptor = _open_inside(pinned.location, roots)
    return io.BufferedReader(_PinnedFile(descriptor, pinned), BUFFER_BYTES)


class _PinnedFile(io.RawIOBase):
    """A file that is compared with its pinned version before its first and after its last byte.

    Both are needed: a writer that is still appending when the reading ends was missed by the
    first look.
    """

    def __init__(self, descriptor: int, pinned: PinnedObject) -> None:
        self._file = io.FileIO(descriptor, closefd=True)
        self._pinned = pinned
        self._left = pinned.size
        try:
            self._compare()
        except PermanentError:
            self._file.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = memoryview(buffer)[: self._left]
        try:
            count = self._file.readinto(wanted) or 0
        except OSError as error:
            raise _unreadable(self._pinned.location, error) from error
        self._left -= count
        if count == 0:
            self._compare()
            if self._left and len(buffer):
                raise _changed(self._pinned)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _compare(self) -> None:
        if _version(os.fstat(self._file.fileno())) != self._pinned.version:
            raise _changed(self._pinned)


def _open_inside(location: LocalFile, roots: Sequence[str | Path]) -> int:
    """A descriptor of the regular file, reached from its root without following a link."""
    root = root_of(location.path, roots)
    if root is None:
        raise _not_allowed(location, "it lies in none of NODE_IMPORT_FILE_ROOTS")
    *folders, name = location.path.relative_to(root).parts
    try:
        return _walk(root, folders, name, location)
    except FileNotFoundError:
        message = f"there is no file {location.path}"
        raise PermanentError(ErrorCode.FILE_NOT_FOUND, message) from None
    except OSError as error:
        if error.errno in _REFUSALS:
            raise _not_allowed(location, os.strerror(error.errno)) from None
        raise _unreadable(location, error) from None


def _walk(root: Path, folders: Sequence[str], name: str, location: LocalFile) -> int:
    parent = os.open(root, _FOLDER_FLAGS)
    try:
        for folder in folders:
            child = os.open(folder, _FOLDER_FLAGS, dir_fd=parent)
            os.close(parent)
            parent = child
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=parent)
    finally:
        os.close(parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_allowed(location, "it is no regular file")
    return descriptor


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _not_allowed(location: LocalFile, problem: str) -> PermanentError:
    message = f"the file {location.path} may not be read: {problem}"
    return PermanentError(ErrorCode.PATH_NOT_ALLOWED, message)


def _unreadable(location: ObjectLocation, error: OSError) -> TransientError:
    message = f"reading {location.url} failed: {error.strerror or error}"
    return TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, message)


def _changed(pinned: PinnedObject) -> PermanentError:
    message = f"{pinned.url} changed while it was imported; submit it again once it is complete"
    return PermanentError(ErrorCode.FILE_CHANGED, message)
