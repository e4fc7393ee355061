"""Waiting for the next request, between two readings of one sensor tick.

Dagster's daemon begins ticks on a grid of 5 s, which is hard-coded there, so a request would wait
2.5 s on average before anybody looked. A tick that has found nothing stays and looks again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping

from node_import.errors import TransientError
from node_import.intake.positions import Partition
from node_import.intake.survey import Surveyor
from node_import.intake.tick import request_topics
from node_import.settings import Settings

# A look asks for the ends of partitions and nothing else. Which topics there are is asked less
# often: the answer has the whole cluster in it.
LOOK_SECONDS = 0.25
TOPICS_SECONDS = 1.0


def wait_for_messages(
    settings: Settings,
    positions: Mapping[Partition, int],
    deadline: float,
    *,
    resting: Collection[str] = (),
) -> bool:
    """True as soon as a request topic ends anywhere else than at `positions`; False in the end.

    Topics that are `resting` are not looked at.

    The end is `deadline` (of `time.monotonic`), or that Kafka does not answer, which is for the
    next tick to tell. Holds no lock and no connection to PostgreSQL: another tick may read.
    """
    surveyor = Surveyor(settings)
    topics = request_topics(settings)
    partitions: tuple[Partition, ...] = ()
    asked = -math.inf
    try:
        while (left := deadline - time.monotonic()) > 0:
            if time.monotonic() - asked >= TOPICS_SECONDS:
                found, asked = surveyor.topology(topics).partitions, time.monotonic()
                partitions = tuple(p for p in found if p.topic.name not in resting)
            latest = surveyor.latest(partitions)
            if any(isinstance(end, int) and end != positions.get(p) for p, end in latest.items()):
                return True
            time.sleep(min(LOOK_SECONDS, left))
    except TransientError:
        return False
    return False
