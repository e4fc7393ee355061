"""`python -m benchmarks.dlt_load DSN FILE FOLDER`: dlt's merge of a CSV into one wide row each.

As dlt's documentation recommends for speed: Arrow batches in, CSV files to PostgreSQL's COPY.
Prints a line of JSON: seconds of `pipeline.run` alone, without the import of dlt.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

SILENT = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
BLOCK_BYTES = 16 << 20


def _batches(path: str) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    with pa.input_stream(path, compression="gzip") as stream:
        text = dict.fromkeys(csv.open_csv(path).schema.names, pa.string())
        options = csv.ConvertOptions(column_types=text)
        reader = csv.open_csv(stream, csv.ReadOptions(block_size=BLOCK_BYTES), None, options)
        for batch in reader:
            yield pa.Table.from_batches([batch])


def main() -> None:
    """Load once."""
    os.environ.update(SILENT)
    import dlt

    dsn, path, folder = sys.argv[1:]
    pipeline = dlt.pipeline(
        "benchmark",
        destination=dlt.destinations.postgres(dsn),
        dataset_name="peer_dlt",
        pipelines_dir=folder,
    )
    resource = dlt.resource(
        _batches(path), name="users", primary_key="reference_id", write_disposition="merge"
    )
    started = time.perf_counter()
    pipeline.run(resource, loader_file_format="csv")
    seconds = time.perf_counter() - started
    with pipeline.sql_client() as client:
        counted = client.execute_sql("SELECT count(*) FROM users")
    rows = counted[0][0] if counted else 0
    print(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
