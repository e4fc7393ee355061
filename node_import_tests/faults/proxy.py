"""A TCP proxy on loopback that can cut, stall and refuse: the network between us and a service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any

from node_import.stack.ports import LOOPBACK

CHUNK = 64 * 1024
# SO_LINGER with no time: a close sends RST, as a firewall or a dead machine's kernel does.
RESET = struct.pack("ii", 1, 0)


class Network:
    """One event loop in a thread, for all proxies of a lane."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()

    def call(self, what: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def close(self) -> None:
        """End all connections, then the loop."""
        self.call(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Proxy:
    """Listens on `port` and passes everything on to `target`, both on loopback."""

    def __init__(self, network: Network, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._network = network
        self._sockets: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._refusing = False
        self._cut_after: int | None = None
        self._bytes_per_second: int | None = None
        self._server: asyncio.Server = network.call(self._listen())

    def cut(self) -> None:
        """Reset every connection there is; new ones pass."""
        self._network.call(self._cut())

    def refuse(self) -> None:
        """Reset every connection, and every new one at once, until `mend`."""
        self._refusing = True
        self.cut()

    def stall(self) -> None:
        """Nothing passes any more, and nobody is told, until `mend`."""
        self._network.call(self._set(passing=False))

    def cut_after(self, amount: int) -> None:
        """Reset every connection once `amount` bytes have come from the target, until `mend`."""
        self._cut_after = amount

    def slow_down(self, bytes_per_second: int) -> None:
        """What comes from the target comes no faster, over each connection, until `mend`."""
        self._bytes_per_second = bytes_per_second

    def close(self) -> None:
        """Listen no more."""
        self._network.call(self._stop_listening())

    def mend(self) -> None:
        """All passes again."""
        self._refusing = False
        self._cut_after = self._bytes_per_second = None
        self._network.call(self._set(passing=True))

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def _stop_listening(self) -> None:
        self._server.close()
        await self._cut()

    async def _set(self, *, passing: bool) -> None:
        if passing:
            self._passing.set()
        else:
            self._passing.clear()

    async def _cut(self) -> None:
        for writer in list(self._sockets):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        self._sockets.add(writer)
        try:
            there, here = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:
            _reset(writer)
            self._sockets.discard(writer)
            return
        self._sockets.add(here)
        pumps = [
            asyncio.create_task(self._pump(reader, here)),
            asyncio.create_task(self._pump(there, writer, from_target=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in (writer, here):
                self._sockets.discard(end)
                _reset(end)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        from_target: bool = False,
    ) -> None:
        """Until the end of the stream, which is passed on as such; a break ends both directions."""
        passed = 0
        while data := await reader.read(CHUNK):
            await self._passing.wait()
            if from_target:
                passed += len(data)
                if self._cut_after is not None and passed > self._cut_after:
                    raise ConnectionResetError
                if self._bytes_per_second:
                    await asyncio.sleep(len(data) / self._bytes_per_second)
            writer.write(data)
            await writer.drain()
        await self._passing.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
