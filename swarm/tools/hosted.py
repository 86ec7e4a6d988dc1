"""An MCP server while it is used: a task of its own is connected to it, and ends with whoever asked for it.

The SDK's client lives inside a task that does nothing else: what breaks in it, or ends with it, cancels nobody who
makes a call. This module knows how to be connected and to ask; it does not know what is asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TextIO, TypeVar
from urllib.parse import parse_qsl, urlsplit

from swarm.errors import UsageError
from swarm.observe.log import HIDDEN, hide, redact, redact_text, without_secrets
from swarm.tools.servers import Http, Stdio, is_address

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")
_TOLD = 300  # characters of what a server says when it fails
_SECRET = 8  # characters: a shorter value is no key, and blotting it out would eat ordinary words
_PATH = 20  # characters of a part of a path that is taken for a key
_ENDING = 10.0  # seconds that a server may take to end; what the SDK does to a program takes about 5
_STREAM = 300.0  # seconds that a stream may be silent, which the server keeps open for what it has to say
_KEPT = 4_000  # bytes of what it printed last on stderr


class Lost(Exception):
    """The server did not answer, in words: it is gone, it took too long, or it refused."""


class Hosted:
    """A server; `name` is what it is called in words. `seconds` is what it may take to answer, each time."""

    def __init__(self, server: Stdio | Http, seconds: float) -> None:
        if isinstance(server, Http) and not is_address(server.url):
            raise UsageError(
                f"{redact_text(server.url)!r:.200} is no address of an MCP server: begin with https://"
            )
        self.name = _name(server)
        self._server, self._seconds = server, seconds
        self._secrets = _secrets(server)
        self._printed = b""
        self._take: Callable[[], None] = lambda: None
        self._over = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        try:
            import mcp  # noqa: F401 - whether it is there is said before anything is started
        except ImportError:
            raise UsageError("MCP servers need the official SDK: run pip install 'swarm-memory[mcp]'") from None
        logger = logging.getLogger("mcp")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # or its warnings appear on stderr unasked
        self._task = asyncio.create_task(self._host())
        try:
            async with asyncio.timeout(self._seconds):
                either: list[asyncio.Future[Any]] = [self._task, self._ready]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self._end()
            raise UsageError(
                f"{self.name} did not answer within {self._seconds:g} s: is it an MCP server?{self._last_words()}"
            ) from None
        except BaseException:
            await self._end()
            raise
        if self._task.done():
            said = self._told(self._task.exception())
            raise UsageError(f"{self.name} cannot be used: {said}{self._last_words()}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def asked(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """What the server answers.

        Raises:
            Lost: it does not.
        """
        if self._task.done():
            raise Lost(f"it has ended{self._last_words()}")
        try:
            async with asyncio.timeout(self._seconds):
                return await ask(self._ready.result())
        except TimeoutError:
            raise Lost(f"it did not answer within {self._seconds:g} s: ask for less, or go another way") from None
        except Exception as error:
            raise Lost(f"{self._told(error)}{self._last_words() if _is_end(error) else ''}") from None

    def clean(self, text: str) -> str:
        """Without the secrets that the server was given."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    async def _host(self) -> None:
        from mcp import Client

        async with Client(self._transport()) as client:
            self._ready.set_result(client)
            await self._over.wait()

    async def _end(self) -> None:
        """Let it end, and wait until it has, however often this is cancelled meanwhile: a server that goes on
        would be nobody's. The SDK kills a program after a few seconds; one at an address is left to itself."""
        self._over.set()
        if not self._ready.done():
            self._task.cancel()
        cancelled = False
        while not self._task.done():
            try:
                if not (await asyncio.wait({self._task}, timeout=_ENDING))[0]:
                    self._task.cancel()
            except asyncio.CancelledError:
                cancelled = True
        if not self._task.cancelled():
            self._task.exception()  # it was told, or nobody asks any more
        if not self._ready.done():
            self._ready.cancel()
        if cancelled:
            raise asyncio.CancelledError

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        """What carries the messages, as the SDK's client takes it."""
        if isinstance(self._server, Http):
            from httpx2 import AsyncClient, Timeout
            from mcp.client.streamable_http import streamable_http_client

            patience = Timeout(self._seconds, read=max(self._seconds, _STREAM))

            async with (
                AsyncClient(headers=dict(self._server.headers), timeout=patience) as http,
                streamable_http_client(self._server.url, http_client=http) as streams,
            ):
                yield streams
        else:
            from mcp.client.stdio import StdioServerParameters, stdio_client

            program = StdioServerParameters(
                command=self._server.command,
                args=list(self._server.args),
                env=dict(self._server.env),
                cwd=self._server.cwd,
            )
            with self._stderr() as stderr:
                async with stdio_client(program, errlog=stderr) as streams:
                    yield streams

    @contextmanager
    def _stderr(self) -> Iterator[TextIO]:
        """Where a program writes what goes wrong: the end of it is kept, to be told when it fails."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        loop = asyncio.get_running_loop()

        def take() -> None:
            with suppress(BlockingIOError):
                while piece := os.read(reading, 65_536):
                    self._printed = (self._printed + piece)[-_KEPT:]
                loop.remove_reader(reading)

        self._take = take
        with os.fdopen(writing, "w") as stderr:
            loop.add_reader(reading, take)
            try:
                yield stderr
            finally:
                take()
                self._take = lambda: None
                loop.remove_reader(reading)
                os.close(reading)

    def _last_words(self) -> str:
        self._take()
        lines = [line.strip() for line in self._printed.decode("utf-8", "replace").splitlines() if line.strip()]
        return f" (it printed: {self._line(lines[-1])})" if lines else ""

    def _told(self, error: BaseException | None) -> str:
        """An exception in one line."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if error is None or _is_end(error):
            return "it has ended"
        if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            return f"{error.filename or 'its program'} cannot be run ({(error.strerror or '').lower()})"
        return self._line(str(error) or type(error).__name__)

    def _line(self, text: str) -> str:
        text = " ".join("".join(char if char.isprintable() else " " for char in self.clean(text)).split())
        return redact_text(text[:_TOLD])


def _is_end(error: BaseException) -> bool:
    """Whether it says that the connection is gone."""
    from anyio import BrokenResourceError, ClosedResourceError
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED

    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED
    return isinstance(error, BrokenResourceError | ClosedResourceError)


def _name(server: Stdio | Http) -> str:
    if isinstance(server, Stdio):
        return f"the MCP server {redact_text(os.path.basename(server.command))[:80]}"  # noqa: PTH119 - text
    return f"the MCP server at {urlsplit(server.url).hostname}"


def _secrets(server: Stdio | Http) -> list[str]:
    """What must be shown nowhere, longest first."""
    if isinstance(server, Stdio):
        shown = redact(None, "", without_secrets(server.env))  # of each other's kinds of names one knows more
        found = {value for name, value in server.env.items() if shown.get(name) != value}
        found |= set(_secret_arguments(server.args))
    else:
        parts = urlsplit(server.url)
        found = {word for value in server.headers.values() for word in (value, value.rpartition(" ")[2])}
        found |= {parts.query, parts.username or "", parts.password or ""}
        found |= {value for _, value in parse_qsl(parts.query)}
        found |= {part for part in parts.path.split("/") if len(part) >= _PATH}
    kept = sorted((value for value in found if len(value) >= _SECRET), key=len, reverse=True)
    for value in kept:
        hide(value)
    return kept


def _secret_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """Values of options such as `--api-key VALUE` and `--token=VALUE`, and what has the form of a key."""
    option = ""
    for argument in arguments:
        name, equals, value = argument.partition("=") if argument.startswith("-") else (option, "=", argument)
        name = name.lstrip("-")
        if equals and redact(None, "", {name or "_": value}).get(name or "_") != value:
            yield value
        option = "" if equals else name
