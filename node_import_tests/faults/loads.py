"""What the listed faults are done to."""

from __future__ import annotations

from node_import_tests.faults.requests import Kind, Producer, Request
from node_import_tests.faults.world import World

# Some forty slices and ten batches in here: a second or two of loading.
MANY_ROWS = 1_200


def send_load(world: World, seed: int = 7) -> list[Request]:
    """Two files of one group, one of another, a list, and a message that is no request."""
    producer = Producer(seed)
    domain = world.domains[0]
    requests = [
        producer.file(domain, "g", rows=MANY_ROWS),
        producer.file(domain, "g", rows=300, bad=0.03),
        producer.file(domain, "h", rows=400),
        producer.references(domain, "lists", count=30),
        producer.refused(domain, "g", Kind.UNKNOWN_GROUP),
    ]
    world.send(*requests)
    return requests


def send_file(world: World, rows: int = MANY_ROWS, seed: int = 3, group: str = "g") -> Request:
    """One good file."""
    request = Producer(seed).file(world.domains[0], group, rows=rows)
    world.send(request)
    return request
