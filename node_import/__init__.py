"""node_import: bulk imports of nodes from Kafka messages into PostgreSQL, on Dagster."""
