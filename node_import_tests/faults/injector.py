"""Marked points of the importer: before and after every commit, every send, every put of an object.

The importer has no hooks. In a process that is to be killed, the libraries underneath are wrapped:
psycopg's transactions, confluent-kafka's producer and consumer, botocore's calls. A point is named
by the function of `node_import` that is at work, such as

    jobs.dispatch.dispatch: before commit
    publishing.confirmed_producer.ConfirmedProducer.send: after send

At the chosen point, when it is reached for the n-th time, the process kills itself: no `finally`
runs, no buffer is flushed, no connection is closed in order.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import psycopg
from botocore.client import BaseClient
from confluent_kafka import Consumer, Producer

# Frames that every transaction or call passes through, and that say nothing of the work.
_PASSED_THROUGH = (
    "node_import.database.",
    "node_import.objects.refusals",
    "node_import.objects.upload",
    "node_import.publishing.confirmed_producer",
    "node_import.publishing.dead_letters",
)
_WRITING_CALLS = {
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "DeleteObject",
}


@dataclass(frozen=True, slots=True)
class Trigger:
    """Where to die: at the `nth` time that a process reaches a point (from 1).

    Of all processes that have it only one dies, the first: who can make the file `once`. Another
    signal than SIGKILL is SIGSTOP: the process stands still there until somebody lets it go on.
    """

    point: str
    nth: int = 1
    once: str = ""
    signal: int = signal.SIGKILL

    def is_first(self) -> bool:
        """Whether nobody else has died of it."""
        try:
            os.close(os.open(self.once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


class Injector:
    """Notes the points that a process reaches in a file, and kills it at the one that is chosen."""

    def __init__(self, log: Path, triggers: Sequence[Trigger] = ()) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._triggers = triggers
        self._reached: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reached(self, point: str) -> None:
        """The process is at this point; it may not return."""
        with self._lock:
            self._reached[point] += 1
            os.write(self._log, f"{point}\n".encode())
            for trigger in self._triggers:
                if (trigger.point, trigger.nth) != (point, self._reached[point]):
                    continue
                if trigger.is_first():
                    os.write(self._log, f"signal {trigger.signal}\n".encode())
                    os.kill(os.getpid(), trigger.signal)
                    # A process that stops runs on for a moment: not into the next one's trigger.
                    return

    def install(self) -> None:
        """Wrap the libraries, in this process."""
        _wrap_transactions(self)
        _wrap_kafka(self)
        _wrap_object_store(self)


def caller() -> str | None:
    """The innermost function of the importer that is at work, `room.module.function`."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("node_import.") and not module.startswith(_PASSED_THROUGH):
            return f"{module.removeprefix('node_import.')}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return None


def _wrap_transactions(injector: Injector) -> None:
    """Only what commits: the outermost transaction of a connection, when its block went well."""
    original = psycopg.Transaction.__exit__

    def leave(
        self: psycopg.Transaction,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        name = caller() if kind is None and not self.savepoint_name else None
        if name:
            injector.reached(f"{name}: before commit")
        result = original(self, kind, error, trace)
        if name:
            injector.reached(f"{name}: after commit")
        return result

    psycopg.Transaction.__exit__ = leave  # type: ignore[method-assign]


def _wrap_kafka(injector: Injector) -> None:
    """`after send`: the broker has the message, and nobody here knows it yet."""
    from node_import.intake import consumer
    from node_import.publishing import confirmed_producer

    class MarkedProducer(Producer):
        def produce(self, *arguments: Any, **keywords: Any) -> None:
            name = caller()
            injector.reached(f"{name}: before send")
            super().produce(*arguments, **keywords)

        def poll(self, timeout: float = -1) -> int:
            # Reports are taken in `flush`, so that they come after the point.
            return 0 if timeout == 0 else super().poll(timeout)

        def flush(self, timeout: float = -1) -> int:
            name = caller()
            left = super().flush(timeout)
            injector.reached(f"{name}: after send")
            return left

    class MarkedConsumer(Consumer):
        def commit(self, *arguments: Any, **keywords: Any) -> Any:
            name = caller()
            injector.reached(f"{name}: before commit to Kafka")
            result = super().commit(*arguments, **keywords)
            injector.reached(f"{name}: after commit to Kafka")
            return result

    confirmed_producer.Producer = MarkedProducer  # type: ignore[attr-defined]
    consumer.Consumer = MarkedConsumer  # type: ignore[attr-defined]


def _wrap_object_store(injector: Injector) -> None:
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        name = caller() if operation in _WRITING_CALLS else None
        if name:
            injector.reached(f"{name}: before {operation}")
        result = original(self, operation, parameters)
        if name:
            injector.reached(f"{name}: after {operation}")
        return result

    BaseClient._make_api_call = call  # type: ignore[attr-defined]
