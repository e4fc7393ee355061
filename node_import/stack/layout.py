"""Where the embedded stack keeps its things: one folder, that can be deleted as a whole.

DATA_DIR/
  stack.json         what runs, where, and how to connect (0600: it holds passwords)
  stack.lock         held by the supervisor as long as it lives
  ports.json         the ports of the last time; they are taken again
  credentials.json   random passwords, made once (0600)
  logs/              a file a process
  postgres/data/     the database cluster
  objects/           the objects of the S3 store
  dagster/           DAGSTER_HOME
  files/             a folder from which `file://` paths may be imported
  staging/           staged rows of running imports
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from node_import.errors import UsageError

DATA_DIR_VARIABLE = "NODE_IMPORT_DATA_DIR"
DEFAULT_DATA_DIR = ".node_import"
# Others may pass through (PostgreSQL runs as another account when we are root), not look around.
PASS_THROUGH = 0o711
PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths inside one data directory."""

    root: Path

    @property
    def state_file(self) -> Path:
        """What runs now; see `node_import.stack.state`."""
        return self.root / "stack.json"

    @property
    def lock_file(self) -> Path:
        """Locked (flock) by the supervisor, so two never share a data directory."""
        return self.root / "stack.lock"

    @property
    def ports_file(self) -> Path:
        """The ports of the last time; they are taken again while they are free."""
        return self.root / "ports.json"

    @property
    def credentials_file(self) -> Path:
        """Passwords of the embedded services."""
        return self.root / "credentials.json"

    @property
    def logs(self) -> Path:
        """A log file a process."""
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        """Belongs to the account that PostgreSQL runs as."""
        return self.root / "postgres"

    @property
    def objects(self) -> Path:
        """Objects of the S3 store."""
        return self.root / "objects"

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME: dagster.yaml, workspace.yaml, compute logs."""
        return self.root / "dagster"

    @property
    def files(self) -> Path:
        """The one configured root of `file://` paths."""
        return self.root / "files"

    @property
    def staging(self) -> Path:
        """Staged rows."""
        return self.root / "staging"

    def create(self) -> None:
        """Make the folders that are missing.

        Raises:
            UsageError: the folder cannot be made, or its name cannot be put into a setting.
        """
        if "," in str(self.root):
            message = f"the data directory {self.root} has a comma in its name; lists use it"
            raise UsageError(message)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(PASS_THROUGH)
            for folder in (self.logs, self.objects, self.dagster_home, self.files, self.staging):
                folder.mkdir(mode=PRIVATE_DIR, exist_ok=True)
            self.postgres.mkdir(mode=PRIVATE_DIR, exist_ok=True)
        except OSError as error:
            message = f"cannot write to the data directory {self.root}: {error.strerror}"
            raise UsageError(message) from error


def data_dir_layout(data_dir: Path | None = None) -> Layout:
    """The layout of `data_dir`, else of NODE_IMPORT_DATA_DIR, else of `.node_import` here."""
    chosen = data_dir or Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)
    return Layout(chosen.expanduser().absolute())


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step; nobody else may read it, at no moment."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)
