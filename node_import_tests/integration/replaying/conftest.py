"""A desk whose dead letters are looked at and sent back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from node_import.contracts.dead_letter import DeadLetter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message, decode_headers
from node_import.publishing.dead_letters import fetch_from_bucket
from node_import.replaying.letter import Letter, LetterFilter
from node_import.replaying.reading import LetterReader
from node_import.replaying.replay import Replayer
from node_import.replaying.selection import Selection, Terms, select
from node_import.replaying.standing import Standing, mark_replayed, standing_of
from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.intake_desk import Desk, open_desk
from node_import_tests.support.tenants import one, put


@dataclass
class ReplayDesk:
    """What an operator does about dead letters, at one tenant's desk."""

    desk: Desk

    def reader(self, wanted: LetterFilter | None = None) -> LetterReader:
        return LetterReader.look(self.desk.settings, wanted or LetterFilter())

    def letters(self) -> list[Letter]:
        return list(self.reader().letters())

    def standing(self) -> Standing:
        reader = self.reader()
        with self.desk.tenant.database.operator() as conn:
            return standing_of(conn, reader.cluster_id, list(reader.letters()))

    def selection(self, *, force: bool = False) -> Selection:
        terms = Terms(max_attempts=10, force=force)
        return select(self.letters(), LetterFilter().matches, self.standing(), terms)

    def replay(self, *, force: bool = False) -> list[Letter]:
        """All that may go; those that went."""
        reader, chosen = self.reader(), self.selection(force=force).chosen

        def mark(letters: Sequence[Letter]) -> None:
            with self.desk.tenant.database.operator() as conn:
                mark_replayed(conn, reader.cluster_id, letters)

        replayer = Replayer(
            self.desk.producer,
            fetch_from_bucket(self.desk.settings),
            lambda letter: reader.request_topic(letter.partition),
            mark,
        )
        outcomes = replayer.run(reader.messages(chosen))
        return [letter for outcome in outcomes for letter in outcome.replayed]

    def fail_job(self, job_id: UUID, code: ErrorCode = ErrorCode.FILE_NOT_FOUND) -> None:
        """An attempt of it has failed, and its letter is out."""
        row = one(self.desk.database, "SELECT * FROM nodes_import_job WHERE id = %s", job_id)
        attempt = row["attempt"] + 1
        put(self.desk.database, job_id, status="FAILED", failure_code=code, attempt=attempt)
        names = ("cluster", "topic", "partition", "offset", "timestamp")
        identity = MessageIdentity(*(row[f"message_{name}"] for name in names))
        headers = decode_headers(row["message_headers"])
        message = Message(identity, row["message_key"], row["message_value"], headers)
        self.send(message, code=code, attempts=attempt, job_id=job_id)

    def send(self, message: Message, **changes: Any) -> None:
        """Put a letter of that message into its topic."""
        letter = {
            "code": ErrorCode.FILE_NOT_FOUND,
            "reason": "gone",
            "consumer_group": self.desk.settings.kafka_group_id,
            "attempts": 1,
            "first_failed_at": datetime.now(UTC),
            **changes,
        }
        assert self.desk.letters.send([DeadLetter(message=message, **letter)]) == [None]

    def add_group(self, name: str) -> None:
        """The cause is gone."""
        with self.desk.database.connect() as conn:
            conn.execute(
                "INSERT INTO matching_group (id, domain_id, name) VALUES (%s, %s, %s)",
                [uuid4(), self.desk.tenant.domain_id, name],
            )


@pytest.fixture
def replays(
    settings: Settings, database: TestDatabase, unique_name: Callable[[str], str]
) -> Iterator[ReplayDesk]:
    """A fresh database with one tenant; only that tenant's topics are read."""
    with open_desk(settings, database, unique_name("acme")) as desk:
        yield ReplayDesk(desk)
