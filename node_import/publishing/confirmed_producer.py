"""A producer that knows of every message whether the broker has it.

`flush` with a timeout is no confirmation, and neither is a call that raised nothing: only the
delivery report of a message is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Producer

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.message import OutgoingMessage
from node_import.errors import TransientError
from node_import.kafka import LOGGER, ClientConfig
from node_import.settings import Settings
from node_import.sizes import MIB

DELIVERY_SECONDS = 15.0

# So much is sent at a time, with `DELIVERY_SECONDS` for it: the time grows with what there is to
# send. 0.5 MiB a second is far less than any broker takes.
CHUNK_BYTES = 8 * MIB

# Ours to stay below the broker's limit is not: the broker decides what is too large.
MAX_MESSAGE_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """Why one message is not, or not known to be, in the topic."""

    error: TransientError
    too_large: bool = False


class MessageSender(Protocol):
    """Sends messages and says of each how it ended."""

    def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
        """An entry a message, in order: None if the broker confirmed it."""


class ConfirmedProducer:
    """Sends to all in-sync replicas; for a process to keep and threads to share.

    The client is made with the first message. `idempotent` keeps a retry inside the client from
    sending twice; it costs the first message 0.5 s, where it takes 2 ms without.
    """

    def __init__(
        self,
        client_config: Mapping[str, Any],
        *,
        idempotent: bool = True,
        delivery_seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self._client_config = client_config
        self._idempotent = idempotent
        self._delivery_seconds = delivery_seconds
        self._client: tuple[Producer, ClientConfig] | None = None

    @classmethod
    def from_settings(cls, settings: Settings, *, idempotent: bool = True) -> ConfirmedProducer:
        """A producer for the deployment's cluster."""
        return cls(settings.kafka_client_config(), idempotent=idempotent)

    def __enter__(self) -> ConfirmedProducer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the client go; a later `send` makes a new one."""
        self._client = None

    def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
        """Send chunk by chunk and wait for every delivery report.

        A chunk takes `delivery_seconds` and one more at most. After one of which nothing came
        through in that time the rest is not sent: an outage costs the time of one chunk.
        """
        answers: list[DeliveryFailure | None] = []
        for chunk in chunks(messages):
            producer, config = self._connected()
            reports = self._sent(producer, chunk)
            answers += [
                None if report is None else _failure(config, message, report)
                for message, report in zip(chunk, reports, strict=True)
            ]
            if _is_outage(reports):
                break
        rest = messages[len(answers) :]
        return answers + [_unsent(message, _NOT_SENT) for message in rest]

    def _sent(self, producer: Producer, messages: Sequence[OutgoingMessage]) -> Reports:
        """What became of one chunk; a report of None is a message that the broker has."""
        deadline = time.monotonic() + self._delivery_seconds + 1.0
        reports: Reports = [_NO_REPORT] * len(messages)
        for index, message in enumerate(messages):
            _produce(producer, message, _reporter(reports, index), deadline)
        producer.flush(max(deadline - time.monotonic(), 0.1))
        if any(isinstance(report, KafkaError) and report.fatal() for report in reports):
            self.close()
        return reports

    def _connected(self) -> tuple[Producer, ClientConfig]:
        if self._client is None:
            config = ClientConfig(
                self._client_config,
                {
                    "enable.idempotence": self._idempotent,
                    "acks": "all",
                    "message.timeout.ms": int(self._delivery_seconds * 1000),
                    "message.max.bytes": MAX_MESSAGE_BYTES,
                },
            )
            self._client = Producer(config.values, logger=LOGGER), config
        return self._client


def confirm(sender: MessageSender, messages: Sequence[OutgoingMessage]) -> None:
    """Send `messages`, all of them.

    Raises:
        TransientError: KAFKA_UNAVAILABLE, for the first one that is not confirmed.
    """
    for failure in sender.send(messages):
        if failure is not None:
            raise failure.error


def chunks(
    messages: Sequence[OutgoingMessage], most_bytes: int = CHUNK_BYTES
) -> Iterator[Sequence[OutgoingMessage]]:
    """`messages` in order, in pieces of at most `most_bytes`; a larger message goes by itself."""
    start, size = 0, 0
    for index, message in enumerate(messages):
        own = _size(message)
        if index > start and size + own > most_bytes:
            yield messages[start:index]
            start, size = index, 0
        size += own
    if start < len(messages):
        yield messages[start:]


def _size(message: OutgoingMessage) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


Reports: TypeAlias = list[KafkaError | str | None]
Report = Callable[[KafkaError | str | None], None]

_NO_REPORT = "no delivery report came"
_QUEUE_FULL = "the client's queue is full"
_NOT_SENT = "not sent, since nothing before it came through"


def _is_outage(reports: Reports) -> bool:
    """Nothing came through, and something waited in vain: not what the broker answered with no."""
    # Not `None in reports`: to compare a KafkaError with None leaves an exception behind.
    came_through = any(report is None for report in reports)
    return not came_through and any(
        isinstance(report, str) or report.code() == KafkaError._MSG_TIMED_OUT  # noqa: SLF001
        for report in reports
        if report is not None
    )


def _reporter(reports: Reports, index: int) -> Report:
    def report(error: KafkaError | str | None) -> None:
        reports[index] = error

    return report


def _produce(producer: Producer, message: OutgoingMessage, report: Report, deadline: float) -> None:
    """Hand one message to the client, waiting while its queue is full."""

    def on_delivery(error: KafkaError | None, _: Any) -> None:
        report(error)

    while True:
        try:
            producer.produce(
                message.topic,
                key=message.key,
                value=message.value,
                headers=list(message.headers),
                on_delivery=on_delivery,
            )
        except BufferError:
            if time.monotonic() > deadline:
                report(_QUEUE_FULL)
                return
            producer.poll(0.1)
        except KafkaException as error:
            report(error.args[0])
            return
        else:
            producer.poll(0)
            return


def _failure(
    config: ClientConfig, message: OutgoingMessage, report: KafkaError | str
) -> DeliveryFailure:
    if isinstance(report, str):
        return _unsent(message, report)
    too_large = report.code() == KafkaError.MSG_SIZE_TOO_LARGE
    return DeliveryFailure(config.failure(f"sending to {message.topic}", report), too_large)


def _unsent(message: OutgoingMessage, why: str) -> DeliveryFailure:
    text = f"Kafka, sending to {message.topic}: {why}"
    return DeliveryFailure(TransientError(ErrorCode.KAFKA_UNAVAILABLE, text))
