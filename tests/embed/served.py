"""`swarm mcp` in a process of its own, and the official client that talks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from swarm.store.opening import open_store

TOKEN = "a-token-for-these-tests-only"


@dataclass(frozen=True, kw_only=True)
class Where:
    """What a server is started with: its folder is its root, too."""

    folder: Path
    options: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "tasks.db"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "swarm", "mcp", "--store", str(self.store), *self.options]

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.env}

    @asynccontextmanager
    async def stdio(self, mode: str = "auto") -> AsyncIterator[Client]:
        """A client with a server of its own."""
        command, *args = self.command
        program = StdioServerParameters(command=command, args=args, env=self.environment, cwd=self.folder)
        with (self.folder / "stderr.txt").open("a") as errors:
            async with Client(stdio_client(program, errlog=errors), mode=mode) as client:
                yield client

    @contextmanager
    def http(self) -> Iterator[Server]:
        """A server for any number of clients."""
        token = self.folder / "token"
        token.write_text(f"{TOKEN}\n")
        process = subprocess.Popen(
            [*self.command, "--http", "0", "--token-file", str(token)],
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.folder,
        )
        assert process.stderr is not None
        try:
            yield Server(process=process, url=_url(process), folder=self.folder)
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    def pid(self, run: str) -> int:
        """The process that is at a run."""
        with open_store(self.store, read_only=True) as store:
            session = store.journal.latest(run, "session")
            assert session is not None
            return int(session.body["pid"])


def _url(process: subprocess.Popen[bytes]) -> str:
    """From the first line that names it."""
    assert process.stderr is not None
    for line in process.stderr:
        if b"http://" in line:
            return line.decode().partition("swarm mcp: ")[2].split()[0]
    raise AssertionError("it ended before it listened")


@dataclass(frozen=True, kw_only=True)
class Server:
    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    @asynccontextmanager
    async def client(self, mode: str = "auto", token: str = TOKEN) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool tells, as structured content, which its text says as well."""
    found = await client.call_tool(tool, arguments)
    assert not found.is_error, said(found)
    assert isinstance(found.structured_content, dict)
    return found.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """What is told to a model that calls a tool wrongly."""
    found = await client.call_tool(tool, arguments)
    assert found.is_error
    return said(found)


def said(found: CallToolResult) -> str:
    return "".join(block.text for block in found.content if block.type == "text")
