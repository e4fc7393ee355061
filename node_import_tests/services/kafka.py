"""Apache Kafka: one node, broker and controller in one (KRaft), with every kind of listener."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from node_import.stack.child import Child, Guardian
from node_import.stack.layout import write_private
from node_import.stack.ports import LOOPBACK
from node_import.stack.start_failure import StartFailed
from node_import_tests.services.artefacts import java, kafka_jars
from node_import_tests.services.certificates import Certificate

START_SECONDS = 120.0
JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# What the embedded cluster does by itself, so that the same tests run: topics come into being
# with four partitions, and large messages are taken. Below that, one small node that starts
# and cleans up fast.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "true",
    "num.partitions": "4",
    "message.max.bytes": "8388608",
    "offsets.topic.num.partitions": "2",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "broker.session.timeout.ms": "3000",
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "8388608",
}

_LISTENER_KINDS = {
    "PLAINTEXT": "PLAINTEXT",
    "TLS": "SSL",
    "SASL": "SASL_SSL",
    "CONTROLLER": "PLAINTEXT",
}
_LOGIN = "org.apache.kafka.common.security"


class KafkaBroker:
    """One node in a folder. Its user `USER` may log in by PLAIN and by SCRAM."""

    USER = "node-import"

    def __init__(self, folder: Path, ports: Sequence[int], certificate: Certificate) -> None:
        """`ports`: plain, TLS, TLS with SASL, controller."""
        self.password = secrets.token_hex(16)
        self._cluster_id = _cluster_id()
        self._folder = folder
        self._ports = dict(zip(_LISTENER_KINDS, ports, strict=True))
        folder.mkdir()
        write_private(folder / "server.pem", (certificate.key + certificate.certificate).decode())
        self._properties = folder / "server.properties"
        write_private(self._properties, _as_properties(self._settings()))
        write_private(folder / "log4j2.properties", _LOG_TO_STANDARD_OUTPUT)
        self.child = Child(
            name="kafka",
            argv=[*_java_command(folder), "kafka.Kafka", str(self._properties)],
            log=folder / "kafka.log",
            env=_environment(),
            cwd=folder,
        )

    @property
    def bootstrap_servers(self) -> str:
        """The plain listener."""
        return self._address("PLAINTEXT")

    @property
    def tls_bootstrap_servers(self) -> str:
        """The listener with TLS, without a login."""
        return self._address("TLS")

    @property
    def sasl_bootstrap_servers(self) -> str:
        """The listener with TLS and a login."""
        return self._address("SASL")

    def launch(self, guard: Guardian) -> None:
        """Format the folder and start the node."""
        self._format()
        self.child.start(guard)

    def wait_until_ready(self) -> None:
        """Until clients get an answer, and from this broker.

        Raises:
            StartFailed: with the end of the broker's log.
        """
        deadline = time.monotonic() + START_SECONDS
        # Quiet: until it is there, the client would complain twice a second.
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        while True:
            try:
                answering = admin.list_topics(timeout=1).cluster_id
            except KafkaException as error:
                if not self.child.is_running() or time.monotonic() > deadline:
                    raise StartFailed("Kafka", self.child.log_tail()) from error
            else:
                if answering != self._cluster_id:
                    raise StartFailed("Kafka", "its port is in use: another broker answers there")
                return

    def _address(self, listener: str) -> str:
        return f"{LOOPBACK}:{self._ports[listener]}"

    def _format(self) -> None:
        """Make the log folder, and the SCRAM user in it."""
        user = f"SCRAM-SHA-512=[name={self.USER},password={self.password}]"
        tool = [*_java_command(self._folder), "kafka.tools.StorageTool", "format"]
        arguments = ["-t", self._cluster_id, "-c", str(self._properties), "--add-scram", user]
        done = subprocess.run(
            [*tool, *arguments], capture_output=True, text=True, check=False, env=_environment()
        )
        if done.returncode != 0:
            raise StartFailed("Kafka's storage tool", f"{done.stdout}{done.stderr}".strip())

    def _settings(self) -> dict[str, str]:
        listeners = ",".join(f"{name}://{self._address(name)}" for name in _LISTENER_KINDS)
        plain = f'{_LOGIN}.plain.PlainLoginModule required user_{self.USER}="{self.password}";'
        scram = f"{_LOGIN}.scram.ScramLoginModule required;"
        sasl = {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "plain.sasl.jaas.config": plain,
            "scram-sha-512.sasl.jaas.config": scram,
        }
        tls = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._folder / "server.pem"),
        }
        return {
            **SETTINGS,
            "controller.quorum.voters": f"1@{self._address('CONTROLLER')}",
            "listeners": listeners,
            "advertised.listeners": listeners.rpartition(",")[0],
            "listener.security.protocol.map": ",".join(
                f"{name}:{kind}" for name, kind in _LISTENER_KINDS.items()
            ),
            "log.dirs": str(self._folder / "data"),
            **tls,
            **{f"listener.name.sasl.{name}": text for name, text in sasl.items()},
        }


def run_kafka_tool(folder: Path, name: str, *arguments: str) -> str:
    """What one of Kafka's own command-line tools, a Java class, prints.

    Raises:
        RuntimeError: it failed; with its error output.
    """
    done = subprocess.run(
        [*_java_command(folder), name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode != 0:
        raise RuntimeError(f"{done.stdout}{done.stderr}")
    return done.stdout


def _java_command(folder: Path) -> list[str]:
    log = folder / "log4j2.properties"
    logging = [f"-Dlog4j2.configurationFile={log}"] if log.exists() else []
    return [java(), *JAVA_OPTIONS, *logging, "-cp", f"{kafka_jars()}/*"]


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR", "JAVA_HOME")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _cluster_id() -> str:
    """Kafka's form of a UUID: 22 characters of URL-safe Base64, and as there no `-` at first.

    On a command line that would begin an option: one start of the broker in 64 failed so.
    """
    while True:
        made = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made


def _as_properties(settings: dict[str, str]) -> str:
    return "".join(f"{name}={text}\n" for name, text in settings.items())


_LOG_TO_STANDARD_OUTPUT = """\
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
"""
