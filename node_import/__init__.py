"""node_import: bulk imports of nodes from Kafka messages into PostgreSQL, on Dagster."""

from node_import.polars_memory import configure_allocator

configure_allocator()
