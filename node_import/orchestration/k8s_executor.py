"""The executor `k8s`: each step is a Kubernetes job of its own.

Image, environment, secrets and resources of the pods are those of Dagster's K8sRunLauncher and of
the code location, as Dagster's Helm chart sets them; run configuration can change them. Dagster
asks Kubernetes after every pod, so a lost one is a failed step. What is left for the process of the
run is to beat while pods are being scheduled, which can take longer than a silent run may live.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster_k8s.executor import k8s_job_executor

from node_import.database import Database
from node_import.jobs.heartbeat import beating
from node_import.settings import Settings, settings_of_this_process

if TYPE_CHECKING:
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan
    from dagster._core.execution.step_dependency_config import StepDependencyConfig


@dg.executor(
    name="k8s",
    config_schema=k8s_job_executor.config_schema.as_field(),
    requirements=dg.multiple_process_executor_requirements(),
)
def executor(context: dg.InitExecutorContext) -> dg.Executor:
    """`NODE_IMPORT_LOAD_CONNECTIONS` pods of one run at once, with one connection each."""
    settings = settings_of_this_process()
    config = {"max_concurrent": settings.load_connections, **context.executor_config}
    create = k8s_job_executor.executor_creation_fn
    assert create is not None  # noqa: S101 - it is made by a function
    inner = create(
        dg.InitExecutorContext(context.job, context.executor_def, config, context.instance)
    )
    return BeatingSteps(inner, settings)


class BeatingSteps(dg.Executor):
    """Another executor, whose run beats from its own process all the time."""

    def __init__(self, inner: dg.Executor, settings: Settings) -> None:
        self._inner = inner
        self._settings = settings

    @property
    def retries(self) -> RetryMode:
        """See `dagster.Executor.retries`."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """See `dagster.Executor.step_dependency_config`."""
        return self._inner.step_dependency_config

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """See `dagster.Executor.execute`."""
        database = Database.from_settings(self._settings)
        with beating(database, plan_context.run_id, self._settings.heartbeat_seconds):
            yield from self._inner.execute(plan_context, execution_plan)
