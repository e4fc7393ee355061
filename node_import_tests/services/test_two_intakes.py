"""Two processes that read and dispatch, by mistake, on one database and one cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from node_import.stack.environment import settings_environment
from node_import_tests.services.topics import TIMEOUT, Topics, wait_until
from node_import_tests.support.intake_desk import Desk
from node_import_tests.support.kafka_messages import produce, read_topic

ROOT = Path(__file__).parents[2]
PROGRAM = "node_import_tests.services.ticking"
REQUESTS = 3_000
PARTITIONS = 3


class Ticking:
    """A process that ticks until it is told to stop, as a daemon's sensor does."""

    def __init__(self, desk: Desk, log: Path) -> None:
        self._log = log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("NODE_IMPORT_")}
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", PROGRAM],
                env={**inherited, **settings_environment(desk.settings)},
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def dispatched(self) -> list[str]:
        """The jobs that its rounds handed over."""
        return [job for report in self._reports() for job in report["dispatched"]]

    def counts(self) -> dict[str, int]:
        """What its ticks reported, added up."""
        names = ("ticks", "skipped", "accepted", "rejected", "duplicates", "runs")
        reports = self._reports()
        return {name: sum(report[name] for report in reports) for name in names}

    def _reports(self) -> list[dict[str, Any]]:
        """Without the line that is being written."""
        return [json.loads(line) for line in self._log.read_text().split("\n")[:-1]]

    def stop(self) -> None:
        """Let it finish its tick."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(TIMEOUT) == 0, self._log.read_text()


def read_everything(desk: Desk) -> bool:
    """Whether the positions are at the ends."""
    return sum(desk.positions().values()) == REQUESTS * PARTITIONS


def send_requests(desk: Desk) -> None:
    """Every tenth is no request."""
    for part in range(10):
        for partition in range(PARTITIONS):
            first = part * REQUESTS // 10
            values = [
                desk.request(partition * REQUESTS + number) if number % 10 else f"bad {number}"
                for number in range(first, first + REQUESTS // 10)
            ]
            produce(desk.settings, desk.topic, values, partition=partition)


def test_two_processes_share_the_topics_without_double_work(
    desk: Desk, topics: Topics, tmp_path: Path
) -> None:
    """Each message is read by one of them: one job, or one letter, and no known message met again.
    Each job is handed over by one of them, once.

    A lock in PostgreSQL decides whose turn it is.
    """
    topics.create(desk.topic, partitions=PARTITIONS)
    topics.create(desk.dlt)
    limits = {"intake_max_messages": 500, "group_max_jobs": 50}
    own = desk.settings.model_copy(update=limits)
    desk = Desk(own, desk.database, desk.tenant, desk.producer)
    both = [Ticking(desk, tmp_path / f"{n}.log") for n in range(2)]
    try:
        for one in both:
            wait_until(lambda at=one: at.counts()["ticks"] > 0)  # type: ignore[misc]
        send_requests(desk)
        wait_until(lambda: read_everything(desk))
    finally:
        for one in both:
            one.stop()

    first, second = (one.counts() for one in both)
    good = REQUESTS * PARTITIONS * 9 // 10
    assert first["accepted"] + second["accepted"] == good
    assert first["rejected"] + second["rejected"] == REQUESTS * PARTITIONS // 10
    assert first["duplicates"] + second["duplicates"] == 0
    assert len(desk.jobs()) == good
    handed_over = both[0].dispatched() + both[1].dispatched()
    assert len(handed_over) == len(set(handed_over))
    assert first["runs"] + second["runs"] == own.max_concurrent_runs
    assert len(read_topic(desk.settings, desk.dlt)) == REQUESTS * PARTITIONS // 10


def test_a_process_that_is_killed_in_a_tick_leaves_the_lock_to_the_other(
    desk: Desk, topics: Topics, tmp_path: Path
) -> None:
    """Nothing is lost, and nothing is a job twice; a letter may have come twice."""
    topics.create(desk.topic, partitions=PARTITIONS)
    topics.create(desk.dlt)
    own = desk.settings.model_copy(update={"intake_max_messages": 500})
    desk = Desk(own, desk.database, desk.tenant, desk.producer)
    victim, heir = (Ticking(desk, tmp_path / f"{n}.log") for n in range(2))
    try:
        send_requests(desk)
        wait_until(lambda: len(desk.positions()) == PARTITIONS)
        victim.process.kill()
        victim.process.wait(TIMEOUT)
        wait_until(lambda: read_everything(desk))
    finally:
        if victim.process.poll() is None:
            victim.process.kill()
        heir.stop()
    columns = "count(*), count(DISTINCT (message_partition, message_offset))"
    good = REQUESTS * PARTITIONS * 9 // 10
    query = f"SELECT {columns} FROM nodes_import_job"
    with desk.database.connect() as conn:
        assert conn.execute(query).fetchone() == (good, good)
    letters = {
        (m.header("kafka_dlt-original-partition"), m.header("kafka_dlt-original-offset"))
        for m in read_topic(desk.settings, desk.dlt)
    }
    assert len(letters) == REQUESTS * PARTITIONS // 10
