"""Dagster's own door: backfills through the GraphQL API of its webserver.

Importing dagster costs 1.8 s and an instance 2.0 s more; this costs a request, and works from
wherever the webserver can be reached. What it cannot do is add a partition key of a job that has
no assets (Dagster 1.13: `addDynamicPartition` looks at assets alone). Keys that were pruned are
added by a process that does import dagster, and needs DAGSTER_HOME.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from node_import.errors import UsageError
from node_import.jobs.runs import JOB_NAME

TIMEOUT_SECONDS = 60.0
ADDING_SECONDS = 120.0
ADD_PARTITIONS = "node_import.orchestration.add_partitions"

FIND_REPOSITORY = """
query ImportRepository {
  repositoriesOrError {
    __typename
    ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
    ... on PythonError { message }
  }
}
"""
LAUNCH = """
mutation LaunchImports($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PartitionKeysNotFoundError { partitionKeys }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
    ... on PartitionSetNotFoundError { message }
  }
}
"""


class WebserverRefused(Exception):
    """Dagster's webserver does not do what was asked, or cannot be reached; says why."""


class WebserverSilent(WebserverRefused):
    """It was asked, and no answer came: it may have done it."""


class DagsterWebserver:
    """The webserver at `url`, which needs no credentials."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/graphql"
        # Inside a deployment: a proxy that the environment names for the world is not asked.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def launch_backfill(self, partition_keys: Sequence[str]) -> str:
        """Have every partition run once; the id of the backfill. Adds keys that are missing.

        Raises:
            WebserverRefused: nothing was launched.
            UsageError: keys are missing, and DAGSTER_HOME is not set.
        """
        selector = self._repository()
        answer = self._launch(selector, partition_keys)
        if answer["__typename"] == "PartitionKeysNotFoundError":
            _add_partitions(answer["partitionKeys"])
            answer = self._launch(selector, partition_keys)
        if answer["__typename"] != "LaunchBackfillSuccess":
            raise WebserverRefused(answer.get("message") or answer["__typename"])
        return str(answer["backfillId"])

    def _launch(self, selector: Mapping[str, str], keys: Sequence[str]) -> dict[str, Any]:
        params = {
            "selector": {
                "partitionSetName": f"{JOB_NAME}_partition_set",
                "repositorySelector": selector,
            },
            "partitionNames": list(keys),
            "title": "node-import backfill",
        }
        answer: dict[str, Any] = self._ask(LAUNCH, {"params": params})["launchPartitionBackfill"]
        return answer

    def _repository(self) -> dict[str, str]:
        """Where the import job is; the name of a code location is the deployment's choice."""
        answer = self._ask(FIND_REPOSITORY, {})["repositoriesOrError"]
        for repository in answer.get("nodes", ()):
            if any(job["name"] == JOB_NAME for job in repository["jobs"]):
                return {
                    "repositoryLocationName": repository["location"]["name"],
                    "repositoryName": repository["name"],
                }
        message = answer.get("message") or f"no code location is loaded that has the job {JOB_NAME}"
        raise WebserverRefused(message)

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - http(s) alone
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                document = json.load(response)
        except urllib.error.HTTPError as error:
            message = f"{self._url} answers {error}"
            raise WebserverRefused(message) from error
        except urllib.error.URLError as error:  # before anything was sent
            message = f"{self._url} cannot be reached: {error.reason}"
            raise WebserverRefused(message) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            message = f"{self._url} gives no answer: {error}"
            raise WebserverSilent(message) from error
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict):
            message = f"{self._url} gives no answer that is understood: {document}"
            raise WebserverRefused(message)
        return data


def _add_partitions(keys: Sequence[str]) -> None:
    if not os.environ.get("DAGSTER_HOME"):
        message = (
            "Dagster has pruned the partitions of these jobs; set DAGSTER_HOME, so that they can "
            "be added again"
        )
        raise UsageError(message)
    try:
        done = subprocess.run(
            [sys.executable, "-m", ADD_PARTITIONS],
            input="\n".join(keys),
            text=True,
            capture_output=True,
            timeout=ADDING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"partitions could not be added again within {ADDING_SECONDS:.0f} s"
        raise WebserverRefused(message) from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        message = f"partitions could not be added again: {lines[-1]}"
        raise WebserverRefused(message)
