"""node_import: bulk imports of nodes from Kafka messages into PostgreSQL, on Dagster."""

from node_import.polars_memory import keep_freed_memory

keep_freed_memory()
