"""The executor `celery`: each step is a task that any worker may take.

Celery does not tell when a worker is lost with the task it was at: the task stays "started" for
ever. So who beats for the run says who is responsible for it. While a step is being worked at, its
worker beats; while all steps wait for a worker, which may be long, the process of the run does. A
lost worker therefore falls silent, recovery reports the run as failed, and the process of the run
sees that and ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from celery import states
from celery.exceptions import TaskRevokedError
from dagster._core.execution.retries import RetryMode
from dagster_celery.core_execution_loop import core_celery_execution_loop
from dagster_celery.executor import CeleryExecutor, _submit_task
from dagster_celery.make_app import make_app

from node_import.database import Database
from node_import.errors import UsageError
from node_import.jobs.heartbeat import beat_once
from node_import.settings import Settings, settings_of_this_process

if TYPE_CHECKING:
    from celery import Celery
    from celery.result import AsyncResult
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan

# Steps are long and few: a worker takes no step that it cannot begin, and tells when it begins.
CONFIG = {
    "task_track_started": True,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,  # since Celery 5.6, with Redis
    "broker_connection_retry_on_startup": True,
}
# How long a canceled run waits for workers to say that they stopped.
REVOKE_SECONDS = 30.0


class StepLost(Exception):
    """The run is over in Dagster, and this step never answered."""


@dg.executor(name="celery", requirements=dg.multiple_process_executor_requirements())
def executor(_: dg.InitExecutorContext) -> dg.Executor:
    """Takes no run configuration: broker and backend come from the importer's settings."""
    return CelerySteps(settings_of_this_process())


def application(settings: Settings) -> Celery:
    """The Celery application that workers run."""
    app: Celery = make_app(CelerySteps(settings).app_args())  # type: ignore[no-untyped-call]
    return app


class CelerySteps(CeleryExecutor):
    """Dagster's Celery executor, with a watch over the steps that are out."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError: no broker is set."""
        broker = settings.celery_broker_url
        if broker is None:
            message = "NODE_IMPORT_CELERY_BROKER_URL is not set: the executor celery needs a broker"
            raise UsageError(message)
        backend = settings.celery_backend_url or broker
        super().__init__(  # type: ignore[no-untyped-call]
            retries=RetryMode.ENABLED,
            broker=broker.get_secret_value(),
            backend=backend.get_secret_value(),
            config_source=CONFIG,
        )
        self._settings = settings

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """See `dagster.Executor.execute`."""
        watch = RunWatch(plan_context.instance, plan_context.run_id, self._settings)

        def submit(*arguments: Any) -> WatchedStep:
            return watch.over(_submit_task(*arguments))

        yield from core_celery_execution_loop(
            plan_context, execution_plan, step_execution_fn=submit
        )


class RunWatch:
    """Looks after a run from its own process; asked by Celery's loop, every second."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str, settings: Settings) -> None:
        self._instance = instance
        self._run_id = run_id
        self._database = Database.from_settings(settings)
        self._pause = settings.heartbeat_seconds
        self._next_look = 0.0
        self._out: list[AsyncResult[Any]] = []
        self._run_is_over = False

    def over(self, result: AsyncResult[Any]) -> WatchedStep:
        """The step is out from now on."""
        self._out.append(result)
        return WatchedStep(result, self)

    def run_is_over(self) -> bool:
        """Whether Dagster has been told that the run ended; beats where nobody else does."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._pause
            run = self._instance.get_run_by_id(self._run_id)
            self._run_is_over = run is None or run.is_finished
            self._out = [result for result in self._out if not result.ready()]
            if not self._run_is_over and all(_is_waiting(result) for result in self._out):
                beat_once(self._database, self._run_id)
        return self._run_is_over


class WatchedStep:
    """A step that is out: what Celery's loop asks of an AsyncResult, and an end in any case."""

    def __init__(self, result: AsyncResult[Any], watch: RunWatch) -> None:
        self._result = result
        self._watch = watch
        self._revoked_at: float | None = None

    def ready(self) -> bool:
        """Whether `get` has an answer."""
        run_is_over = self._watch.run_is_over()
        return self._result.ready() or run_is_over or self._gave_up()

    def get(self) -> Any:
        """The events of the step.

        Raises:
            TaskRevokedError: it was revoked, and its worker said so or says nothing.
            StepLost: the run is over, whatever becomes of the step.
        """
        if self._result.ready():
            return self._result.get()
        if self._revoked_at is not None:
            raise TaskRevokedError("canceled")
        self._result.revoke()
        raise StepLost("the run was reported as failed while a worker had this step")

    def revoke(self) -> None:
        """Cancel it. A worker that is at it is told to drop it; the slice in hand rolls back."""
        self._revoked_at = time.monotonic()
        self._result.revoke(terminate=True)

    def _gave_up(self) -> bool:
        if self._revoked_at is None:
            return False
        waited = time.monotonic() - self._revoked_at
        return _is_waiting(self._result) or waited > REVOKE_SECONDS


def _is_waiting(result: AsyncResult[Any]) -> bool:
    return bool(result.state == states.PENDING)
