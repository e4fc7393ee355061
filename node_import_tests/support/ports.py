"""Ports for stacks of tests, which several people may run on one machine."""

from __future__ import annotations

import random

from node_import.stack.ports import Ports, choose_ports


def random_ports() -> Ports:
    """Free ones, far from those that a developer's own stack has."""
    start = random.randrange(20_000, 32_000)
    return choose_ports(Ports(start, start + 1, start + 2, start + 3))
