"""`swarm mcp`: the MCP server, over standard input and output for one client, or over HTTP for many.

It serves until its client goes or it is told to end; tasks that are at work then go on when it is started again.
What is told to people goes to standard error. `swarm/embed/mcp.py` does the work.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.cli.options import LIMITS, PRICES, SHAPE, STORE, Settings, option
from swarm.cli.options import command as made
from swarm.cli.sending import sending
from swarm.cli.session import ANSWERED, options_of, prepare
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.embed.jobs import Jobs
    from swarm.equipment import Tool

_TOKEN = Path(".swarm/mcp.token")
_MOST = 8

_OWN = (
    option(
        "root",
        list[Path] | None,
        None,
        "--root",
        metavar="FOLDER",
        help="A folder whose files may be read; repeat for more (default: the current one).",
    ),
    option("http", str | None, None, "--http", metavar="[HOST:]PORT", help="Serve many clients of this machine."),
    option(
        "token_file",
        Path | None,
        None,
        "--token-file",
        metavar="FILE",
        help=f"Holds the token that HTTP clients bring; made where it is not there ({_TOKEN}).",
    ),
    option("work", bool, False, "--work", help="Allow tasks that work towards a goal, beside those that read."),
    option(
        "memory", str | None, None, "--memory", metavar="NAME", help="Serve this memory, too: see docs/memory.md."
    ),
    option(
        "max_total_usd",
        float | None,
        None,
        "--max-total-usd",
        min=0,
        metavar="USD",
        help="Most dollars for all tasks of the store together, also those of earlier servers.",
    ),
    option("most", int, _MOST, "--most", min=1, metavar="N", help=f"Tasks at work at once ({_MOST})."),
)
_LOG = option("log_json", bool, False, "--log-json", help="Write the log to stderr, one JSON object a line.")
_SHARED = (*SHAPE, *LIMITS, STORE, PRICES, _LOG)


def _mcp(
    settings: Settings,
    root: list[Path] | None,
    http: str | None,
    token_file: Path | None,
    work: bool,
    memory: str | None,
    max_total_usd: float | None,
    most: int,
) -> int:
    if token_file is not None and http is None:
        raise UsageError("--token-file is for --http: over standard input and output no token is needed")
    prepare(settings)
    from swarm.cli.watched import limits_with
    from swarm.embed.jobs import Jobs
    from swarm.embed.mcp import mcp_server
    from swarm.task import Limits

    jobs = Jobs(
        **options_of(settings),
        roots=root or ["."],
        limits=limits_with(Limits(), settings),
        work=work,
        total_usd=max_total_usd,
        most=most,
    )
    mcp_server(jobs)  # whether the SDK is there is said before anything is opened
    serve = _over_stdio if http is None else _over_http(http, token_file or _TOKEN)
    with_tools = (lambda: _no_more()) if memory is None else (lambda: _memory(memory, settings))
    with sending():
        caught = asyncio.run(_serve(jobs, serve, with_tools))
    sys.stderr.flush()
    if caught:  # a thread may wait for standard input still, and would be waited for
        os._exit(128 + caught)
    return ANSWERED


command = made(_mcp, _OWN, _SHARED, name="mcp", text="Serve tasks to agents over MCP, until they are done.")

Serve = Callable[["Jobs", "Sequence[Tool]", asyncio.Event], Coroutine[Any, Any, None]]


@asynccontextmanager
async def _memory(name: str, settings: Settings) -> AsyncIterator[Sequence[Tool]]:
    """The tools of a memory, which is open as long as it is served."""
    from swarm.embed.remembering import memory_tools
    from swarm.memory.memory import open_memory

    async with open_memory(name, **options_of(settings)) as memory:
        yield memory_tools(memory)


@asynccontextmanager
async def _no_more() -> AsyncIterator[Sequence[Tool]]:
    yield ()


async def _serve(
    jobs: Jobs, serve: Serve, with_tools: Callable[[], AbstractAsyncContextManager[Sequence[Tool]]]
) -> int:
    """Serve until the client goes, or a signal comes, whose number is returned; 0 for none. Tasks end cleanly."""
    caught: list[int] = []
    stopped = asyncio.Event()

    def handle(number: int) -> None:
        if caught:
            os._exit(128 + number)  # asked twice: what is recorded is there, and tasks go on from that
        caught.append(number)
        stopped.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, number)
    async with with_tools() as more, jobs:
        if jobs.allowed.limits.cost_is_default:
            _say(f"each task may spend ${jobs.allowed.limits.cost_usd:.2f}, the default: see --max-cost-usd")
        serving, told = asyncio.create_task(serve(jobs, more, stopped)), asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait([serving, told], return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
        if serving.done() or serve is not _over_stdio:
            await serving
    return caught[0] if caught else 0


async def _over_stdio(jobs: Jobs, more: Sequence[Tool], _: asyncio.Event) -> None:
    from swarm.embed.mcp import serve_stdio

    if sys.stdin.isatty():
        _say("waits for a client, which starts it by itself: claude mcp add swarm -- swarm mcp; Ctrl-C ends it")
    await serve_stdio(jobs, more)


def _over_http(address: str, token_file: Path) -> Serve:
    from swarm.embed.mcp_http import listening, serve_http, token_in, url_of

    token = token_in(token_file)
    listens = listening(address)

    async def serve(jobs: Jobs, more: Sequence[Tool], stopped: asyncio.Event) -> None:
        _say(f"{url_of(listens)} for those who bring the token in {token_file}")
        await serve_http(jobs, listens, token, stopped, more)

    return serve


def _say(text: str) -> None:
    sys.stderr.write(f"swarm mcp: {text}\n")
    sys.stderr.flush()
