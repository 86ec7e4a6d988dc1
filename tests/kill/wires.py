"""Lines between a process and a server, that a test can cut: what is sent then is held and nobody is told, as
where a switch fails. When a line is mended what was held arrives late, or its connections are broken by then.

All lines are served by one event loop on a thread of its own. This module does not know what is said on them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

_CHUNK = 65_536


class Wire:
    """From a port of this machine to `to`: the path of a Unix socket, or a host and a port."""

    def __init__(self, to: str | tuple[str, int]) -> None:
        self._to = to
        self._flows = asyncio.Event()
        self._flows.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._lines: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def begin(self, host: str) -> None:
        self._server = await asyncio.start_server(self._line, host, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        self._ends.add(writer)
        ends = [writer]
        try:
            await self._flows.wait()
            there, back = await self._connect()
            self._ends.add(back)
            ends.append(back)
            ways = [asyncio.create_task(self._carry(*way)) for way in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            for end in ends:
                self._ends.discard(end)
                end.close()
            self._lines.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._to, str):
            return await asyncio.open_unix_connection(self._to)
        return await asyncio.open_connection(*self._to)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                data = await reader.read(_CHUNK)
                await self._flows.wait()
                if not data:
                    return
                writer.write(data)
                await writer.drain()

    async def cut(self) -> None:
        self._flows.clear()

    async def mend(self, *, broken: bool) -> None:
        if broken:
            for end in list(self._ends):
                end.transport.abort()
        self._flows.set()

    async def end(self) -> None:
        self._server.close()
        for line in list(self._lines):
            line.cancel()
        if self._lines:
            await asyncio.wait(list(self._lines))
        await self._server.wait_closed()


class Wires:
    """From `with` to the end of its block."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)
        self._thread.start()
        self._made: list[Wire] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for wire in self._made:
            self._do(wire.end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wire(self, to: str | tuple[str, int], host: str = "127.0.0.1") -> Wire:
        """A new one; its `port` is on `host`."""

        async def make() -> Wire:
            wire = Wire(to)
            await wire.begin(host)
            return wire

        made: Wire = self._do(make())
        self._made.append(made)
        return made

    def cut(self, wire: Wire) -> None:
        """Nothing goes through any more, in either direction."""
        self._do(wire.cut())

    def mend(self, wire: Wire, *, broken: bool = False) -> None:
        """All goes through again, what was held first; or its connections are `broken`."""
        self._do(wire.mend(broken=broken))

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
