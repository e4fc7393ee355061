"""PostgreSQL: connections by role, errors by what they mean, migrations."""

from node_import.database.connections import Connection, Database

__all__ = ["Connection", "Database"]
