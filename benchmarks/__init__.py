"""The yardstick: `make bench` measures imports beside the floor of PostgreSQL and other loaders."""

# Before polars, as in the importer's own processes: it tells polars how to keep memory.
import node_import  # noqa: F401
