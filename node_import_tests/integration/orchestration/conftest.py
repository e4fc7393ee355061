"""A deployment of each test's own: tenant, topics, database, and runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from node_import.database import Database
from node_import.settings import Settings
from node_import.staging import plan
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.deployment import Deployment, open_deployment
from node_import_tests.support.tenants import make_tenant

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def deployment(
    settings: Settings,
    database: TestDatabase,
    s3_client: S3Client,
    unique_name: Callable[[str], str],
) -> Iterator[Deployment]:
    """A tenant with the groups g and h, and nothing else."""
    own = Database.from_settings(settings)
    tenant = make_tenant(own, database, unique_name("acme"))
    with (
        dg.DagsterInstance.ephemeral() as instance,
        open_deployment(settings, database, tenant, instance, s3_client) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
def _sizes_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions that cut small slices for workers are loaded here too; that must not last."""
    for name in ("SLICE_TARGET_BYTES", "BATCH_TARGET_BYTES"):
        monkeypatch.setattr(plan, name, getattr(plan, name))
