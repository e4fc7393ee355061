"""Plays Dagster's daemon over a world: ticks of both sensors, launching, looking after workers.

What it decides is what Dagster's daemon decides: a queued run is launched, a worker that is gone
makes its run a failure after a while. With `monitors` off it does not look after workers that had
begun, as when the code location died with them: then the importer's own heartbeat has to tell.
With `recovers` off the recovery sensor begins when a process was killed: until then runs send all
answers themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import dagster as dg
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from dagster._core.events import DagsterEvent, DagsterEventType
from sqlalchemy.exc import SQLAlchemyError

from node_import_tests.faults.nursery import Process
from node_import_tests.faults.world import World

# From the end of one tick to the start of the next.
TICK_PAUSE = 0.3
IDLE_PAUSE = 3.0
RECOVERY_PAUSE = 1.0
LOOK_PAUSE = 0.25
# How long Dagster takes to notice a dead worker; 10 s in a deployment.
MONITOR_SECONDS = 0.5
UNFINISHED = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)

_AT_REST = """
SELECT
    (SELECT count(*) FROM nodes_import_job WHERE status IN ('PENDING', 'RUNNING'))
    + (SELECT count(*) FROM job_status_event WHERE published_at IS NULL)
    + (SELECT count(*) FROM job_dead_letter WHERE published_at IS NULL)
"""


class Mischief(Protocol):
    """A fault that happens while the conductor works."""

    def act(self, conductor: Conductor) -> None:
        """Called again and again; does what is due now."""

    def is_over(self) -> bool:
        """Whether it has done all that it will, and its outage has ended."""


@dataclass
class Conductor:
    """Ticks until all is quiet."""

    world: World
    monitors: bool = True
    recovers: bool = True
    overlap: int = 1
    mischief: list[Mischief] = field(default_factory=list)
    runs: dict[str, Process] = field(default_factory=dict)
    ticks: list[Process] = field(default_factory=list)
    recoveries: list[Process] = field(default_factory=list)
    _cursors: dict[str, str | None] = field(default_factory=dict)
    _began_at: dict[str, float] = field(default_factory=dict)
    _ended_at: dict[str, float] = field(default_factory=dict)
    _next_look: float = 0.0
    _next_check: float = 0.0
    _gone_since: dict[str, float] = field(default_factory=dict)
    _found_work: bool = True
    _sent_before_tick: tuple[int, int] = (0, 0)

    def run_until_quiet(self, seconds: float = 180.0) -> None:
        """Work until nothing is left to do and no fault is left to happen."""
        self.run_until(self._is_quiet, seconds)
        for process in (*self.ticks, *self.recoveries):
            process.wait()

    def run_until(self, condition: Callable[[], bool], seconds: float = 180.0) -> None:
        """Work until `condition` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it does not come about:\n{self.describe()}"
            self.step()
            time.sleep(0.02)

    def step(self) -> None:
        """One look at everything."""
        for fault in self.mischief:
            if not fault.is_over():
                fault.act(self)
        self._tick()
        self._recover()
        try:
            self._launch()
            self._look_after_runs()
        except SQLAlchemyError:  # PostgreSQL is away, and Dagster's daemon would try again
            time.sleep(0.1)

    def live_runs(self) -> list[Process]:
        """Workers that live."""
        return [process for process in self.runs.values() if process.is_alive]

    def describe(self) -> str:
        """For a failure: what is there, and what was said last."""
        with self.world.database.connect() as conn:
            jobs = conn.execute(
                "SELECT status, attempt, died_runs, failure_code, dagster_run_id, dispatched_at,"
                " not_before, now(), id FROM nodes_import_job ORDER BY sequence_no"
            ).fetchall()
        said = [f"--- {p.label} ({p.status})\n{p.tail(12)}" for p in self.world.processes[-8:]]
        pending = [fault for fault in self.mischief if not fault.is_over()]
        return "\n".join([*map(str, jobs), f"pending: {pending}", *said])

    # Sensors

    def _tick(self) -> None:
        self.ticks = self._ended(self.ticks, "request_sensor")
        if len(self.ticks) < self.overlap and self._is_time_for_a_tick():
            self._sent_before_tick = self._sent()
            self.ticks.append(self._sensor("request_sensor"))

    def _recover(self) -> None:
        self.recoveries = self._ended(self.recoveries, "recovery_sensor")
        if not self.recovers and not self.world.killed():
            return
        if len(self.recoveries) < self.overlap and self._has_rested(
            "recovery_sensor", RECOVERY_PAUSE
        ):
            self.recoveries.append(self._sensor("recovery_sensor"))

    def _is_time_for_a_tick(self) -> bool:
        """Sooner if it would find something: ticks that find nothing cost most of the time."""
        if not self._has_rested("request_sensor", TICK_PAUSE):
            return False
        return self._has_rested("request_sensor", IDLE_PAUSE) or self._expects_work()

    def _expects_work(self) -> bool:
        if self._found_work or self._sent_before_tick != self._sent():
            return True
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK_PAUSE
        try:
            with self.world.database.connect() as conn:
                query = "SELECT FROM nodes_import_job WHERE status = 'PENDING' LIMIT 1"
                return conn.execute(query).fetchone() is not None
        except psycopg.Error:
            return True

    def _sent(self) -> tuple[int, int]:
        """Changes when messages were sent, or a command may have sent some."""
        commands = [p for p in self.world.processes if p.role == "command" and not p.is_alive]
        return len(self.world.sent), len(commands)

    def _has_rested(self, name: str, pause: float) -> bool:
        """As long as it worked: on a busy machine ticks would take the time from runs."""
        worked = self._ended_at.get(name, 0.0) - self._began_at.get(name, 0.0)
        return time.monotonic() >= self._ended_at.get(name, 0.0) + max(worked, pause)

    def _sensor(self, name: str) -> Process:
        cursor = self._cursors.get(name)
        self._began_at[name] = time.monotonic()
        return self.world.start("tick", kind=name, sensor=name, cursor=cursor)

    def _ended(self, processes: list[Process], name: str) -> list[Process]:
        for process in processes:
            if process.is_alive:
                continue
            self._ended_at[name] = time.monotonic()
            answer = process.answer()
            if answer is not None:
                self._cursors[name] = answer["cursor"]
            if name == "request_sensor":
                self._found_work = answer is None or bool(answer["runs"])
        return [process for process in processes if process.is_alive]

    # Runs

    def _launch(self) -> None:
        instance = self.world.instance
        queued = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED]))
        for run in reversed([*queued]):
            starting = DagsterEvent(DagsterEventType.PIPELINE_STARTING.value, run.job_name)
            instance.report_dagster_event(starting, run_id=run.run_id)
            self.runs[run.run_id] = self.world.start("run", run_id=run.run_id)

    def _look_after_runs(self) -> None:
        for run_id, process in list(self.runs.items()):
            if process.is_alive:
                continue
            since = self._gone_since.setdefault(run_id, time.monotonic())
            if time.monotonic() < since + MONITOR_SECONDS:
                continue
            run = self.world.instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                self._forget(run_id)
            elif self._notices(run):
                self._report(run)
                self._forget(run_id)

    def _notices(self, run: dg.DagsterRun) -> bool:
        """A run that never began has a time limit in Dagster, whoever died."""
        return self.monitors or run.status is dg.DagsterRunStatus.STARTING

    def _report(self, run: dg.DagsterRun) -> None:
        if run.status is dg.DagsterRunStatus.CANCELING:
            self.world.instance.report_run_canceled(run)
        else:
            self.world.instance.report_run_failed(run, "its worker is gone")

    def _forget(self, run_id: str) -> None:
        del self.runs[run_id]
        self._gone_since.pop(run_id, None)

    # Quiet

    def is_done(self) -> bool:
        """Nothing is left to do, whether or not faults are left to happen.

        Looked at in the order in which things happen: read, imported and told, ended.
        """
        if self.live_runs() or self.runs:
            return False
        try:
            return self._all_is_read() and self._all_is_told() and not self._unfinished()
        except (psycopg.Error, SQLAlchemyError, KafkaException):
            return False

    def _is_quiet(self) -> bool:
        if any(not fault.is_over() for fault in self.mischief):
            return False
        if time.monotonic() < self._next_check:
            return False
        self._next_check = time.monotonic() + LOOK_PAUSE
        return self.is_done()

    def _all_is_told(self) -> bool:
        with self.world.database.connect() as conn:
            [(left,)] = conn.execute(_AT_REST).fetchall()
        return int(left) == 0

    def _all_is_read(self) -> bool:
        ends = request_topic_ends(self.world)
        with self.world.database.connect() as conn:
            rows = conn.execute(
                "SELECT topic, max(next_offset) FROM intake_position GROUP BY topic"
            )
            positions = dict(rows.fetchall())
        return all(positions.get(topic) == end for topic, end in ends.items() if end)

    def _unfinished(self) -> bool:
        return bool(self.world.instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED)), limit=1))


def request_topic_ends(world: World) -> dict[str, int]:
    """Where each request topic ends, asked without the proxy."""
    config = {"bootstrap.servers": world.lane.kafka_bootstrap, "group.id": "look", "log_level": 0}
    consumer = Consumer(config)
    try:
        return {
            topic: consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)[1]
            for topic in map(world.topic, world.tenants)
        }
    finally:
        consumer.close()
