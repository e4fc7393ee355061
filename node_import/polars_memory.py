"""Memory that polars frees stays with the process for two seconds, to be taken again.

polars' allocator is jemalloc, which reads its options once, when polars is imported: so they are
given when `node_import` is. polars' own choice is to give back what has been free for half a
second, and columns of 8 MiB at once.

A file is read in blocks of 8 MiB, whose columns live for less than a second. Once they are given
back, the kernel clears each of their pages anew for the next block. jemalloc has four arenas a
core, each of which keeps its own; one a core is enough here, and then no more memory is held at
most. Measured for a million rows on two cores: 1.25 instead of 1.51 s to read and stage them, with
30,000 instead of 73,000 page faults; in a forked process, where jemalloc has no thread of its own,
1.33 instead of 1.48 s with 65,000 instead of 86,000, and 10 MB less at most. Kept for ever, what an
import takes at most would grow by 80 MB.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

VARIABLE = "_RJEM_MALLOC_CONF"
KEPT_MILLISECONDS = 2_000


def configure_allocator(environment: MutableMapping[str, str] | None = None) -> None:
    """Add these options to jemalloc's variable; options that stand there already overrule them."""
    environment = os.environ if environment is None else environment
    arenas = os.cpu_count() or 1
    options = f"dirty_decay_ms:{KEPT_MILLISECONDS},oversize_threshold:0,narenas:{arenas}"
    given = environment.get(VARIABLE, "")
    if options not in given:  # as in a child of a process that has done this
        environment[VARIABLE] = f"{options},{given}" if given else options
