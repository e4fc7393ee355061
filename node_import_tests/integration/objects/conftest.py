"""An S3 server, and the ways in which one can fail."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from node_import.objects.store import ObjectStore
from node_import.settings import Settings
from node_import_tests.support.services import outside

StoreAt = Callable[..., ObjectStore]


def free_port() -> int:
    """A port below the ephemeral range, where a client could connect to itself."""
    for port in range(21_000, 32_000):
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no free port")


@pytest.fixture(scope="session")
def s3_keys() -> tuple[str, str]:
    """The access key and the secret key of the S3 server; moto takes any."""
    return outside("S3_ACCESS_KEY") or "key", outside("S3_SECRET_KEY") or "hunter2"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The endpoint of an S3 server: the one from outside, else moto's."""
    if endpoint := outside("S3_ENDPOINT_URL"):
        yield endpoint
        return
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def store_at(monkeypatch: pytest.MonkeyPatch, s3_keys: tuple[str, str]) -> StoreAt:
    """A store at an endpoint, its pauses between tries made short."""
    monkeypatch.setattr("node_import.objects.resuming.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("node_import.objects.client.MAX_ATTEMPTS", 1)

    def make(endpoint: str, **overrides: Any) -> ObjectStore:
        settings = Settings(
            postgres_dsn="unused",
            kafka_bootstrap_servers="unused",
            s3_endpoint_url=endpoint,
            **{"s3_access_key": s3_keys[0], "s3_secret_key": s3_keys[1], **overrides},
        )
        return ObjectStore.from_settings(settings)

    return make


@pytest.fixture
def store(s3_url: str, store_at: StoreAt) -> ObjectStore:
    """A store with its bucket."""
    store = store_at(s3_url)
    store.ensure_bucket()
    return store


class CuttingProxy:
    """Passes connections on to a server and cuts answers after a number of bytes."""

    def __init__(self, upstream: str) -> None:
        host, port = upstream.removeprefix("http://").split(":")
        self.upstream = (host, int(port))
        self.cut_after: int | None = None
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(self.upstream)
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        sent = 0
        try:
            while data := server.recv(65_536):
                if self.cut_after is not None:
                    data = data[: self.cut_after - sent]
                if not data:
                    break
                client.sendall(data)
                sent += len(data)
        except OSError:
            pass
        for side in (client, server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def proxy(s3_url: str) -> Iterator[CuttingProxy]:
    """A proxy in front of the S3 server that can cut connections."""
    proxy = CuttingProxy(s3_url)
    yield proxy
    proxy.close()


class RefusingServer:
    """Answers every request with one status and one S3 error code; a HEAD has no body."""

    def __init__(self, status: int, code: str, tls: ssl.SSLContext | None = None) -> None:
        body = f"<Error><Code>{code}</Code><Message>key hunter2</Message></Error>".encode()

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def refusing() -> Iterator[Callable[..., str]]:
    """The endpoint of a store that refuses everything in one way."""
    servers: list[RefusingServer] = []

    def start(status: int, code: str, tls: ssl.SSLContext | None = None) -> str:
        servers.append(RefusingServer(status, code, tls))
        return servers[-1].url

    yield start
    for server in servers:
        server.close()
