"""`python -m benchmarks.stack_process FOLDER`: the embedded stack, with the empty job beside."""

from __future__ import annotations

import sys
from pathlib import Path

from node_import.stack.supervisor import Supervisor

if __name__ == "__main__":
    stack = Supervisor(Path(sys.argv[1]), definitions="benchmarks.definitions", on_step=print)
    stack.run(lambda _: print("ready"))
