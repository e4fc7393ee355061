"""What every step works with, and the run in whose name it does."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node_import.contracts.node_type import NodeType
from node_import.database import Database
from node_import.objects.store import ObjectStore
from node_import.parsing.rules import ParseRules
from node_import.settings import Settings
from node_import.staging.area import StagingArea
from node_import.staging.areas import LocalStagingAreas, ObjectStagingAreas, StagingAreas

LOGGER = logging.getLogger("node_import.pipeline")


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the graph over one partition.

    `is_live` says of a run id whether that run can still act; `last_try` whether a failure of
    this step will not be tried again and must become an outcome; `is_being_canceled` whether
    somebody has asked for the run's end. `log` is what people read when they look at the run.
    """

    id: str
    partition_key: str
    is_live: Callable[[str], bool]
    last_try: bool = True
    is_being_canceled: Callable[[], bool] = lambda: False
    log: logging.Logger = LOGGER

    def is_given_up(self) -> bool:
        """Whether this run counts as over: it was silent for too long, or was deleted."""
        return not self.is_live(self.id)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Settings, database and object store of this process."""

    settings: Settings
    database: Database
    store: ObjectStore

    def staging_area(self, name: str) -> StagingArea:
        """The staging area of that name; it need not exist."""
        return self.staging_areas.area(name)

    @property
    def staging_areas(self) -> StagingAreas:
        """Where staging areas lie in this deployment."""
        return staging_areas(self.settings, self.store)

    @property
    def connections_a_step(self) -> int:
        """Over how many connections one step loads.

        With a process a step the steps are what is parallel: `load_connections` of them run at
        once, over one connection each.
        """
        in_process = self.settings.executor == "in_process"
        return self.settings.load_connections if in_process else 1

    def parse_rules(self, default_type: NodeType) -> ParseRules:
        """How this deployment reads a file."""
        return ParseRules.from_settings(self.settings, default_type)


def staging_areas(settings: Settings, store: ObjectStore) -> StagingAreas:
    """Where staging areas lie: in `store`, or in a folder of this machine."""
    if settings.stages_in_objects:
        return ObjectStagingAreas(store)
    return LocalStagingAreas(settings.staging_dir or Path(tempfile.gettempdir()) / "node-import")
