"""What PostgreSQL knows of dead letters: which were replayed, and what became of their jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from node_import.contracts.node_exchange import parse_uuid
from node_import.database import Connection, Database
from node_import.database.failures import translated_failures
from node_import.jobs.reopening import PastJob, find_jobs
from node_import.replaying.letter import Letter, Place
from node_import.sql import statements

# Any constant of our own; advisory locks belong to one database.
REPLAY_LOCK = 7_140_211_509


@dataclass(frozen=True, slots=True)
class Standing:
    """What speaks for or against replaying letters.

    `outdated` holds, for a letter without a job, the COMPLETED import of a file of its group
    that came later.
    """

    replayed: frozenset[Place] = frozenset()
    jobs: Mapping[UUID, PastJob] = field(default_factory=dict)
    outdated: Mapping[Place, UUID] = field(default_factory=dict)

    def job_of(self, letter: Letter) -> PastJob | None:
        """The letter's job, if it has one that is still known."""
        return self.jobs.get(letter.info.job_id) if letter.info.job_id else None

    def waits(self, letter: Letter) -> bool:
        """Whether nobody has done anything about the letter."""
        job = self.job_of(letter)
        return letter.place not in self.replayed and not (job and job.at_work)


def standing_of(conn: Connection, cluster_id: str, letters: Collection[Letter]) -> Standing:
    """In three queries. As ni_operator."""
    jobs = {letter.info.job_id for letter in letters if letter.info.job_id is not None}
    return Standing(
        replayed=replayed_places(conn, cluster_id, letters),
        jobs=find_jobs(conn, jobs),
        outdated=_outdated(conn, [letter for letter in letters if letter.names_file]),
    )


def replayed_places(
    conn: Connection, cluster_id: str, letters: Collection[Letter]
) -> frozenset[Place]:
    """Which places of the topics of `letters` are marked as replayed. As ni_operator."""
    topic_ids = {letter.partition.topic_id for letter in letters}
    parameters = {"cluster_id": cluster_id, "topic_ids": list(topic_ids)}
    rows = conn.execute(statements("replaying.sql")["marks"], parameters)
    return frozenset(Place(row["topic_id"], row["partition_no"], row["offset_no"]) for row in rows)


def mark_replayed(conn: Connection, cluster_id: str, letters: Sequence[Letter]) -> None:
    """These letters were replayed, and Kafka has confirmed it. As ni_operator."""
    parameters = {
        "cluster_id": cluster_id,
        "topic_ids": [letter.partition.topic_id for letter in letters],
        "partition_nos": [letter.partition.number for letter in letters],
        "offsets": [letter.offset for letter in letters],
        "topics": [letter.topic for letter in letters],
    }
    conn.execute(statements("replaying.sql")["mark"], parameters)


@contextmanager
def replay_turn(database: Database) -> Iterator[bool]:
    """Whether this process may replay now; two at once would each send the same letters."""
    with database.connect() as conn, translated_failures():
        parameters = {"key": REPLAY_LOCK}
        row = conn.execute(statements("replaying.sql")["try_turn"], parameters).fetchone()
        yield row is not None and bool(row["mine"])


def _outdated(conn: Connection, letters: Sequence[Letter]) -> dict[Place, UUID]:
    files = [letter.names_file for letter in letters if letter.names_file is not None]
    if not files:
        return {}
    as_ids = [parse_uuid(file.group_called) for file in files]
    parameters = {
        "places": list(range(len(files))),
        "domain_ids": [file.domain_id for file in files],
        "group_ids": as_ids,
        "group_names": [file.group_called for file in files],
        "clusters": [file.identity.cluster_id for file in files],
        "topics": [file.identity.topic for file in files],
        "partitions": [file.identity.partition for file in files],
        "offsets": [file.identity.offset for file in files],
        "timestamps": [file.identity.timestamp_ms for file in files],
    }
    rows = conn.execute(statements("reopening.sql")["superseding_messages"], parameters)
    return {letters[row["place"]].place: row["id"] for row in rows}
