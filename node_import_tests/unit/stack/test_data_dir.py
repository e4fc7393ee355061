"""The data directory: where it is, who may read it, what it keeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node_import.errors import UsageError
from node_import.stack.credentials import stored_credentials
from node_import.stack.layout import Layout, data_dir_layout
from node_import.stack.state import (
    DataDirInUse,
    ProcessId,
    StackState,
    exclusive,
    is_held,
    last_state,
    running_stack,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A data directory with its folders."""
    made = Layout(tmp_path / "data")
    made.create()
    return made


def test_default_data_dir_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word from the user it is `.node_import` in the working directory."""
    monkeypatch.delenv("NODE_IMPORT_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert data_dir_layout().root == tmp_path / ".node_import"


def test_option_wins_over_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data-dir` is stronger than NODE_IMPORT_DATA_DIR."""
    monkeypatch.setenv("NODE_IMPORT_DATA_DIR", str(tmp_path / "a"))
    assert data_dir_layout().root == tmp_path / "a"
    assert data_dir_layout(tmp_path / "b").root == tmp_path / "b"


def test_comma_is_refused(tmp_path: Path) -> None:
    """FILE_ROOTS is a list with commas, and the directory becomes part of it."""
    with pytest.raises(UsageError, match="comma"):
        Layout(tmp_path / "a,b").create()


def test_file_in_the_way_is_a_usage_error(tmp_path: Path) -> None:
    """The message names the directory."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        Layout(tmp_path / "file").create()


def test_credentials_stay_the_same(layout: Layout) -> None:
    """They are made once; only their owner can read them, and `repr` shows no secret."""
    first = stored_credentials(layout)
    assert stored_credentials(layout) == first
    assert layout.credentials_file.stat().st_mode & 0o777 == 0o600
    assert first.postgres_password not in repr(first)


def test_lost_credentials_are_not_made_up(layout: Layout) -> None:
    """With the database still there, new passwords would only lock everybody out."""
    stored_credentials(layout)
    layout.credentials_file.unlink()
    (layout.postgres / "data").mkdir()
    with pytest.raises(UsageError, match="start anew"):
        stored_credentials(layout)


def test_data_dir_is_held_once(layout: Layout) -> None:
    """A second supervisor is refused as long as the first holds it, and no longer."""
    with exclusive(layout):
        assert is_held(layout)
        with pytest.raises(DataDirInUse), exclusive(layout):
            pass
    assert not is_held(layout)


def test_state_is_read_back(layout: Layout) -> None:
    """What the supervisor wrote is what others read; the file is private."""
    me = ProcessId.of(os.getpid())
    state = StackState(layout.root, me, "ready", {"A": "b"}, {"s3": me}, {"s3": (9000, 9001)})
    state.write(layout)
    assert running_stack(layout.root) == state
    assert layout.state_file.stat().st_mode & 0o777 == 0o600


def test_stale_state_is_no_running_stack(layout: Layout) -> None:
    """A process id that was given to another process since is not taken for the supervisor."""
    me = ProcessId.of(os.getpid())
    StackState(layout.root, ProcessId(me.pid, me.started - 60), "ready").write(layout)
    assert running_stack(layout.root) is None
    assert last_state(layout) is not None


@pytest.mark.parametrize("text", ["", "{}", '{"data_dir": 1, "supervisor": 2}'])
def test_damaged_state_is_no_stack(layout: Layout, text: str) -> None:
    """A file that cannot be read means that nothing is known to run."""
    layout.state_file.write_text(text)
    assert running_stack(layout.root) is None
