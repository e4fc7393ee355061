"""How the embedded PostgreSQL is tuned.

It is tuned for bulk loading on a developer's machine. With the server's own defaults
(shared_buffers 128 MB, max_wal_size 1 GB) loading is up to half as fast. Nothing here trades
safety for speed: fsync, full_page_writes and synchronous_commit stay on.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from node_import.sizes import GIB, MIB
from node_import.stack.ports import LOOPBACK

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, nothing is put there


def usable_memory() -> int:
    """Bytes of memory that this machine, or this container, may use."""
    total = psutil.virtual_memory().total
    for name in CGROUP_LIMITS:
        try:
            limit = int(Path(name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or `max`
            continue
        return min(total, limit)
    return total


def tuned_settings(folder: Path, port: int) -> dict[str, str]:
    """Server settings for a database in `folder`, given to `postgres` as `-c` options."""
    memory = usable_memory()
    shared_buffers = min(2 * GIB, memory // 4)
    # A full disk stops everything, so the WAL of a small disk stays small.
    max_wal = max(GIB, min(8 * GIB, shutil.disk_usage(folder).free // 4))
    settings = {
        # Loopback TCP only. No Unix socket: its path may be 107 bytes long at most, and a data
        # directory deep in a home folder is longer.
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        # Every process of Dagster has a pool, and ten runs have a few connections each.
        "max_connections": "200",
        "shared_buffers": _megabytes(shared_buffers),
        "effective_cache_size": _megabytes(memory // 2),
        # Index builds and vacuum; a sort or hash join of one slice fits into work_mem.
        "maintenance_work_mem": _megabytes(min(512 * MIB, memory // 16)),
        "work_mem": _megabytes(min(32 * MIB, memory // 64)),
        # Few checkpoints: after each, the first change of a page writes the whole page to the
        # WAL. The price is a longer recovery after a crash, a minute or so.
        "max_wal_size": _megabytes(max_wal),
        "min_wal_size": "512MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        # Whole-page images compress well. pglz: this build has neither lz4 nor zstd.
        "wal_compression": "pglz",
        # Whoever finds them full waits until somebody has written and flushed some. With 64 MB two
        # loading sessions spent up to 7 % of their time so, with these none.
        "wal_buffers": _megabytes(min(256 * MIB, shared_buffers // 8)),
        # Nobody replicates or archives this cluster.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        # SSDs: with the default 4 an ANALYZE of staging made scattered keys five times slower.
        "random_page_cost": "1.1",
        # Statements are short; compiling one costs more than it saves.
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
    }
    if SHARED_MEMORY.exists() and shutil.disk_usage(SHARED_MEMORY).total < 256 * MIB:
        # A container has 64 MB there by default; a parallel hash join wants more.
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings


def _megabytes(size: int) -> str:
    return f"{max(size // MIB, 1)}MB"
