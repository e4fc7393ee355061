"""The yardstick: `make bench` measures imports beside the floor of PostgreSQL and other loaders."""
