"""Adds partition keys, one a line of standard input, to the instance of DAGSTER_HOME.

A program of its own, so that `node-import backfill` need not import dagster: the webserver's API
cannot add partitions of a job without assets.
"""

from __future__ import annotations

import sys

import dagster as dg

from node_import.orchestration.partitions import PARTITIONS_NAME


def main() -> None:
    """Keys that are there already are left as they are."""
    keys = sys.stdin.read().split()
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(PARTITIONS_NAME, keys)


if __name__ == "__main__":
    main()
