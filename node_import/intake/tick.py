"""One tick of intake: messages that are new become jobs or dead letters, and positions move on.

The order is what keeps messages: dead letters are confirmed first, then one transaction inserts
the jobs and moves the positions, and only then the group's offsets follow in Kafka. A tick that
dies in between is repeated by the next one: a letter may come twice, a job never does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from node_import.contracts.dead_letter import DeadLetter
from node_import.contracts.node_exchange import NodeExchange
from node_import.contracts.rejection import Rejection
from node_import.contracts.topics import RequestTopics
from node_import.database import Connection, Database
from node_import.database.connections import operator_transaction
from node_import.errors import TransientError
from node_import.intake.breaker import Breakers, alerts, read_breakers, write_breakers
from node_import.intake.consumer import RequestConsumer
from node_import.intake.decoding import Decoded, Verdict, dead_letter, decode, judge
from node_import.intake.directory import find_failed_jobs, load_directory
from node_import.intake.outcome import write_outcome
from node_import.intake.planning import ReadingPlan, plan_reading
from node_import.intake.positions import Partition, PositionsMoved, read_positions
from node_import.intake.reading import Batch, Read
from node_import.intake.report import IntakeReport
from node_import.intake.survey import Surveyor, Topology
from node_import.objects.store import ObjectStore
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.publishing.dead_letters import DeadLetterSender, store_in_bucket
from node_import.settings import Settings
from node_import.sql import statements

# Any constant of our own; advisory locks belong to one database.
INTAKE_LOCK = 7_140_211_507


@dataclass(frozen=True, slots=True)
class Judged:
    """A message that was read, and what is to be done with it."""

    read: Read
    decoded: Decoded
    verdict: Verdict


def request_topics(settings: Settings) -> RequestTopics:
    """Which topics this deployment reads."""
    return RequestTopics(
        re.compile(settings.request_topic_pattern),
        settings.dlt_suffix,
        {*settings.request_topic_exclude, settings.status_topic},
    )


def intake_tick(database: Database, settings: Settings, *, store: ObjectStore) -> IntakeReport:
    """One tick with clients of its own; `store` takes what is too large for a dead letter.

    See `Intake.tick`.
    """
    # Not idempotent: that costs the first message half a second, and a letter may come twice.
    with ConfirmedProducer.from_settings(settings, idempotent=False) as producer:
        to_bucket = store_in_bucket(settings, store)
        letters = DeadLetterSender(producer, settings.dlt_suffix, to_bucket)
        return Intake(settings, database, letters).tick()


class Intake:
    """The engine of the request sensor. Its Kafka clients live for one tick."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        letters: DeadLetterSender,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._letters = letters
        self._now = now
        self._topics = request_topics(settings)

    def tick(self) -> IntakeReport:
        """Read what is new, within the limits of the settings.

        A message that is no request is answered by a dead letter and never raises. If letters of
        a partition cannot be confirmed, that partition waits and the others go on.

        Raises:
            TransientError: Kafka or PostgreSQL cannot be used; no message is lost or refused.
        """
        deadline = time.monotonic() + self._settings.intake_seconds
        with self._database.connect() as conn, self._database.limited(conn):
            if not _try_lock(conn):
                return IntakeReport(skipped=True)
            try:
                return self._tick(conn, deadline)
            finally:
                _unlock(conn)

    def _tick(self, conn: Connection, deadline: float) -> IntakeReport:
        surveyor = Surveyor(self._settings)
        topology = surveyor.topology(self._topics)
        with RequestConsumer(self._settings, topology.cluster_id) as consumer:
            plan, breakers = self._plan(conn, surveyor, consumer, topology)
            batch = Batch()
            if plan.unread:
                most = self._settings.intake_max_messages
                batch = consumer.read(plan.unread, max_messages=most, deadline=deadline)
            return self._settle(conn, consumer, topology, plan, batch, breakers)

    def _plan(
        self, conn: Connection, surveyor: Surveyor, consumer: RequestConsumer, topology: Topology
    ) -> tuple[ReadingPlan, Breakers]:
        """Where to read, but for topics that rest."""
        partitions = topology.partitions
        with operator_transaction(conn):
            stored = read_positions(conn, topology.cluster_id, partitions)
            breakers = read_breakers(conn, self._settings.intake_max_refusals)
        committed = consumer.committed(p for p in partitions if p not in stored)
        plan = plan_reading(partitions, surveyor, stored=stored, committed=committed)
        resting = breakers.resting(partition.topic.name for partition in plan.unread)
        plan.let_rest(resting)
        return plan, breakers

    def _settle(
        self,
        conn: Connection,
        consumer: RequestConsumer,
        topology: Topology,
        plan: ReadingPlan,
        batch: Batch,
        breakers: Breakers,
    ) -> IntakeReport:
        """Dead letters, then jobs and positions, then the group's offsets."""
        report = IntakeReport(
            alerts=plan.alerts,
            warnings=[*topology.warnings, *plan.warnings, *batch.warnings],
            resting=plan.resting,
        )
        judged = self._judge(conn, batch.messages)
        waiting = breakers.hold_back(judged)
        judged = [item for item in judged if not _waits(item.read, waiting)]
        # What waits for its letter comes before what is held back in its partition.
        waiting |= self._send_letters(judged, report)
        moves = plan.moves({**batch.next_offsets, **waiting})
        settled = [item for item in judged if not _waits(item.read, waiting)]
        verdicts = [(item.read.partition.topic.name, item.verdict) for item in settled]
        after = breakers.after(settled)
        report.alerts += alerts(after, settled)
        try:
            with operator_transaction(conn):
                write_outcome(conn, topology.cluster_id, verdicts, moves, report)
                write_breakers(conn, breakers.by_topic.keys(), after)
        except PositionsMoved:
            return IntakeReport(skipped=True)
        report.positions = {partition: start.offset for partition, start in plan.starts.items()}
        report.positions |= {move.partition: move.next_offset for move in moves}
        if moves:
            try:
                consumer.commit({move.partition: move.next_offset for move in moves})
            except TransientError as error:
                report.warnings.append(error.message)
        return report

    def _judge(self, conn: Connection, reads: Sequence[Read]) -> list[Judged]:
        if not reads:
            return []
        decoded = [decode(read.message, read.partition.topic) for read in reads]
        domains = {item.topic.domain for item in decoded}
        requests = (item.request for item in decoded)
        groups = {request.group_id for request in requests if isinstance(request, NodeExchange)}
        reopening = {item.reopens for item in decoded if item.reopens is not None}
        with operator_transaction(conn):
            directory = load_directory(conn, domains, groups)
            failed_jobs = find_failed_jobs(conn, reopening)
        return [
            Judged(read, item, judge(item, directory, failed_jobs))
            for read, item in zip(reads, decoded, strict=True)
        ]

    def _send_letters(self, judged: Sequence[Judged], report: IntakeReport) -> dict[Partition, int]:
        """Send the letters of what is rejected; where one is not confirmed, the partition waits.

        Returns:
            The offset of the first unconfirmed message of each partition that has one.
        """
        rejected: list[Read] = []
        letters: list[DeadLetter] = []
        for item in judged:
            if isinstance(item.verdict, Rejection):
                rejected.append(item.read)
                letters.append(self._letter(item.decoded, item.verdict))
        waiting: dict[Partition, int] = {}
        for read, failure in zip(rejected, self._letters.send(letters), strict=True):
            if failure is not None and read.partition not in waiting:
                waiting[read.partition] = read.message.identity.offset
                report.alerts.append(
                    f"{read.partition} waits at offset {read.message.identity.offset}, whose "
                    f"dead letter is not confirmed: {failure.message}"
                )
        return waiting

    def _letter(self, decoded: Decoded, rejection: Rejection) -> DeadLetter:
        group = self._settings.kafka_group_id
        return dead_letter(decoded, rejection, consumer_group=group, now=self._now())


def _try_lock(conn: Connection) -> bool:
    row = conn.execute(statements("intake.sql")["try_lock"], {"key": INTAKE_LOCK}).fetchone()
    return row is not None and bool(row["locked"])


def _unlock(conn: Connection) -> None:
    # A connection that is broken has lost the lock, and why is already on its way to the caller.
    with suppress(psycopg.Error):
        conn.execute(statements("intake.sql")["unlock"], {"key": INTAKE_LOCK})


def _waits(read: Read, waiting: Mapping[Partition, int]) -> bool:
    first = waiting.get(read.partition)
    return first is not None and read.message.identity.offset >= first
