"""Reading files from configured folders while others do what they like to them."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError
from node_import.objects.location import LocalFile
from node_import.objects.pinned import PinnedObject
from node_import.objects.store import ObjectStore

CONTENT = b"id,name\n1,one\n" * 100_000  # 1.4 MB, several buffers


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "users.csv").write_bytes(CONTENT)
    return folder


@pytest.fixture
def store(root: Path) -> ObjectStore:
    return ObjectStore(Mock(), bucket="unused", file_roots=[root], max_file_bytes=10**9)


@pytest.fixture
def users(root: Path) -> Path:
    return root / "deep" / "users.csv"


def refusal(store: ObjectStore, file: Path | PinnedObject) -> ErrorCode:
    with pytest.raises(PermanentError) as caught:
        store.open(file if isinstance(file, PinnedObject) else store.pin(LocalFile(file))).read()
    return caught.value.code


def test_a_file_is_read_whole(store: ObjectStore, users: Path) -> None:
    """What was pinned is what is read, and its URL says where it lies."""
    pinned = store.pin(store.locate(str(users)))
    assert (pinned.size, pinned.url) == (len(CONTENT), users.as_uri())
    with store.open(pinned) as stream:
        assert stream.read() == CONTENT


def test_an_empty_file_is_read(store: ObjectStore, root: Path) -> None:
    """No bytes are no error here; the parser has a code for them."""
    (root / "empty.csv").touch()
    pinned = store.pin(LocalFile(root / "empty.csv"))
    assert pinned.size == 0
    assert store.open(pinned).read() == b""


def test_a_missing_file_is_not_found(store: ObjectStore, root: Path) -> None:
    """A file or folder that is not there is FILE_NOT_FOUND, also when it goes after the pin."""
    assert refusal(store, root / "missing.csv") == ErrorCode.FILE_NOT_FOUND
    assert refusal(store, root / "nowhere" / "missing.csv") == ErrorCode.FILE_NOT_FOUND


def test_what_is_no_regular_file_is_refused(store: ObjectStore, root: Path) -> None:
    """Folders, FIFOs and files taken for folders; a FIFO without a writer does not hang."""
    os.mkfifo(root / "pipe")
    assert refusal(store, root / "deep") == ErrorCode.PATH_NOT_ALLOWED
    assert refusal(store, root / "pipe") == ErrorCode.PATH_NOT_ALLOWED
    assert refusal(store, root / "deep" / "users.csv" / "x") == ErrorCode.PATH_NOT_ALLOWED


def test_links_put_in_the_way_later_are_not_followed(
    store: ObjectStore, root: Path, users: Path, tmp_path: Path
) -> None:
    """A file or a folder swapped for a link between the check and the opening leads nowhere."""
    (tmp_path / "users.csv").write_bytes(b"secret")
    pinned = store.pin(LocalFile(users))
    users.unlink()
    users.symlink_to(tmp_path / "users.csv")
    assert refusal(store, pinned) == ErrorCode.PATH_NOT_ALLOWED
    users.unlink()
    (root / "deep").rmdir()
    (root / "deep").symlink_to(tmp_path)
    assert refusal(store, pinned) == ErrorCode.PATH_NOT_ALLOWED
    assert refusal(store, users) == ErrorCode.PATH_NOT_ALLOWED


def test_a_file_outside_the_roots_is_refused_without_a_check_before(store: ObjectStore) -> None:
    """The store does not rely on others to have looked."""
    assert refusal(store, Path("/etc/passwd")) == ErrorCode.PATH_NOT_ALLOWED


def test_a_file_that_changed_before_it_is_opened(store: ObjectStore, users: Path) -> None:
    """A longer, or a younger, file is not the one that was pinned."""
    pinned = store.pin(LocalFile(users))
    os.utime(users, ns=(1, 1))
    assert refusal(store, pinned) == ErrorCode.FILE_CHANGED


@pytest.mark.parametrize("change", ["grown", "cut", "replaced"])
def test_a_file_that_changes_while_it_is_read(store: ObjectStore, users: Path, change: str) -> None:
    """The end of a file is only reached if the file is still the one that was begun."""
    os.utime(users, ns=(1, 1))
    stream = store.open(store.pin(LocalFile(users)))
    stream.read(1_000)
    if change == "grown":
        with users.open("ab") as file:
            file.write(b"more")
    elif change == "cut":
        os.truncate(users, 600_000)
    else:
        users.write_bytes(CONTENT[::-1])
    with pytest.raises(PermanentError) as caught:
        stream.read()
    assert caught.value.code == ErrorCode.FILE_CHANGED


def test_a_file_above_the_limit_is_too_large(root: Path, users: Path) -> None:
    """The limit counts bytes on disk, and nothing is read to find out."""
    store = ObjectStore(Mock(), bucket="", file_roots=[root], max_file_bytes=len(CONTENT) - 1)
    assert refusal(store, users) == ErrorCode.FILE_TOO_LARGE


def test_descriptors_are_given_back(store: ObjectStore, users: Path, root: Path) -> None:
    """Neither success nor refusal leaves a file open."""
    gc.collect()  # what other tests left must not be closed in between
    before = len(list(Path("/proc/self/fd").iterdir()))
    pinned = store.pin(LocalFile(users))
    store.open(pinned).close()
    refusal(store, root / "deep")
    refusal(store, root / "nowhere" / "x")
    os.utime(users, ns=(1, 1))
    refusal(store, pinned)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_writer_at_the_other_end_of_a_fifo_is_not_read(store: ObjectStore, root: Path) -> None:
    """A FIFO is refused even when it would have something to say."""
    os.mkfifo(root / "pipe")
    keep = os.open(root / "pipe", os.O_RDWR | os.O_NONBLOCK)
    writer = threading.Thread(target=os.write, args=(keep, b"id\n1\n"))
    writer.start()
    writer.join()
    assert refusal(store, root / "pipe") == ErrorCode.PATH_NOT_ALLOWED
    os.close(keep)
