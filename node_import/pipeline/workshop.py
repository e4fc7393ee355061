"""What every step works with, and the run in whose name it does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node_import.contracts.node_type import NodeType
from node_import.database import Database
from node_import.objects.store import ObjectStore
from node_import.parsing.rules import ParseRules
from node_import.settings import Settings
from node_import.staging.area import LocalStagingArea, StagingArea


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the graph over one partition.

    `is_live` says of a run id whether that run can still act; `last_try` whether a transient
    failure of this step will not be tried again and must become an outcome.
    """

    id: str
    partition_key: str
    is_live: Callable[[str], bool]
    last_try: bool = True


@dataclass(frozen=True, slots=True)
class Workshop:
    """Settings, database and object store of this process."""

    settings: Settings
    database: Database
    store: ObjectStore

    def staging_area(self, name: str) -> StagingArea:
        """The staging area of that name; it need not exist."""
        return LocalStagingArea(self.staging_folder / name)

    @property
    def staging_folder(self) -> Path:
        """Where staging areas lie on this machine."""
        return self.settings.staging_dir or Path(tempfile.gettempdir()) / "node-import"

    def parse_rules(self, default_type: NodeType) -> ParseRules:
        """How this deployment reads a file."""
        return ParseRules.from_settings(self.settings, default_type)
