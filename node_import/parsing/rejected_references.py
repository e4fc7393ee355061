"""The references of rejected rows: what the status message calls `failedList`."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from typing import Self

from node_import.parsing.reject import Reject
from node_import.sizes import MIB
from node_import.staging.area import StagingArea

FILE_NAME = "rejected-references.jsonl"

_HELD_BYTES = 4 * MIB


class RejectedReferences:
    """Distinct references in file order, staged as JSON strings, one a line.

    To know them again it holds 16 bytes of digest each: some 100 MB for the 1,000,000 rejects
    after which a file fails, and however long they are. A context manager.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._lines = tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def add(self, rejects: Iterable[Reject]) -> None:
        """Take the references that `rejects` have."""
        for reject in rejects:
            if reject.reference is None:
                continue
            digest = hashlib.blake2b(reject.reference.encode(), digest_size=16).digest()
            if digest not in self._seen:
                self._seen.add(digest)
                self._lines.write(json.dumps(reject.reference).encode() + b"\n")

    def stage(self, area: StagingArea) -> str | None:
        """Write the list into `area`; its name there, or None if it is empty."""
        if not self._seen:
            return None
        self._lines.seek(0)
        with area.write(FILE_NAME) as file:
            shutil.copyfileobj(self._lines, file, MIB)
        return FILE_NAME
