"""Tags of a run: names by which people find it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from node_import.database import Connection
from node_import.sql import statements

# A tag is for finding runs; a group of hundreds of jobs is found by its partition.
MOST_NAMES_IN_TAG = 20


def run_tags(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags of a run over jobs: `job_id`, `kind`, `message_topic`, `domain_name`, `group_name`."""
    return {
        "node_import/domain": _names(row["domain_name"] for row in rows),
        "node_import/group": _names(row["group_name"] for row in rows),
        "node_import/topic": _names(row["message_topic"] for row in rows),
        "node_import/kind": _names(row["kind"] for row in rows),
        "node_import/job_id": _names(str(row["job_id"]) for row in rows),
        "node_import/jobs": str(len(rows)),
    }


def tags_of_partition(conn: Connection, partition_key: str) -> dict[str, str]:
    """The tags of a run over that partition; for one that was launched without any."""
    query = statements("run_tags.sql")["names_in_partition"]
    return run_tags(conn.execute(query, {"partition_key": partition_key}).fetchall())


def _names(names: Iterable[str]) -> str:
    """Each once; of many the first, and how many more."""
    distinct = list(dict.fromkeys(names))
    shown = ", ".join(distinct[:MOST_NAMES_IN_TAG])
    more = len(distinct) - MOST_NAMES_IN_TAG
    return f"{shown} and {more} more" if more > 0 else shown
