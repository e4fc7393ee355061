"""The partitions of the job: a key names the requests of one run, and nothing else does."""

from __future__ import annotations

import dagster as dg

PARTITIONS_NAME = "import_requests"

import_requests = dg.DynamicPartitionsDefinition(name=PARTITIONS_NAME)
