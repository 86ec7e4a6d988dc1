"""`swarm worker`: a machine that works slices of the runs that are coordinated on a store.

It goes on until it is told to end: the first SIGTERM or Ctrl-C lets it finish what it is at, the second leaves at
once. This module knows the command line; what a worker does is `swarm.remote`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli.options import Settings
from swarm.cli.sending import sending

if TYPE_CHECKING:
    from swarm.models.base import Model
    from swarm.remote.joined import Terms
    from swarm.remote.serve import Worker

_PLACES = 16
_PATIENCE = 600.0  # seconds for which a server may be away

_Store = Annotated[
    str,
    typer.Option("--store", metavar="URL", help="Of the runs: postgresql://…; with its password in PGPASSWORD."),
]
_Places = Annotated[int, typer.Option("--concurrency", min=1, metavar="N", help="Slices worked at once.")]
_Url = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Where models are asked, whatever the runs say."),
]
_Recipes = Annotated[
    list[str] | None,
    typer.Option("--recipe", metavar="NAME|FILE", help="A recipe that may be called here; may be given again."),
]
_Yes = Annotated[
    bool, typer.Option("--yes", help="Trust the runs of this store: call their recipes, ask where they ask.")
]
_Prices = Annotated[Path | None, typer.Option("--prices", metavar="FILE", help="Prices of your own.")]
_Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but what goes wrong.")]
_Log = Annotated[bool, typer.Option("--log-json", help="Write the log to stderr, one JSON object a line.")]


def worker(
    store: _Store,
    concurrency: _Places = _PLACES,
    base_url: _Url = None,
    recipe: _Recipes = None,
    yes: _Yes = False,
    prices: _Prices = None,
    quiet: _Quiet = False,
    log_json: _Log = False,
) -> int:
    """Work slices of the runs that others coordinate with --engine postgres on this store."""
    from swarm.cli.session import prepare
    from swarm.errors import UsageError
    from swarm.recipe import find
    from swarm.store.opening import is_url

    if not is_url(store):
        raise UsageError("workers share a store on a server: --store postgresql://…; a file is one process's")
    for name in recipe or ():
        find(name)
    prepare(Settings(prices=prices, log_json=log_json))
    trusted = None if yes else tuple(recipe or ())
    with sending():
        return asyncio.run(_serve(store, concurrency, base_url, trusted, yes=yes, quiet=quiet))


async def _serve(
    store: str, places: int, base_url: str | None, trusted: tuple[str, ...] | None, *, yes: bool, quiet: bool
) -> int:
    from swarm.remote.joined import Terms

    def model(name: str, window: int | None, address: str | None) -> Model:
        from swarm.models.registry import connect

        if base_url is None and not yes:
            _check_address(address)
        return connect(name, window=window, base_url=base_url or address)

    terms = Terms(models=model, places=places, trusted=trusted)
    async with serving(store, terms, _leaves) as made:
        if not quiet:
            _say(f"worker {made.id}: {places} places; Ctrl-C finishes what is under way")
        with _signals(made, quiet=quiet):
            await made.serve()
    if not quiet:
        _say(f"worker {made.id}: {made.count.done:,} slices worked")
    return 0


@asynccontextmanager
async def serving(store: str, terms: Terms, tell: Callable[[str], None] = lambda _: None) -> AsyncIterator[Worker]:
    """A worker on the store of that name, ready to serve; `tell` is as it has it."""
    from swarm.engine.postgres import PostgresEngine
    from swarm.limits.shared import sharing
    from swarm.remote import heart
    from swarm.remote.serve import Worker
    from swarm.store.opening import open_store

    opened = await asyncio.to_thread(open_store, store)
    async with AsyncExitStack() as held:
        held.push_async_callback(asyncio.to_thread, opened.close)
        lease = heart.LEASE_SECONDS
        engine = PostgresEngine(store, terms.places, heartbeat_seconds=lease, patience_seconds=_PATIENCE)
        held.push_async_callback(engine.close)
        shared = await held.enter_async_context(sharing(opened.shares, socket.gethostname()))
        yield Worker(opened, engine, terms, shared, tell)


def _check_address(address: str | None) -> None:
    """A key of this machine's goes only where its user sends it.

    Raises:
        UsageError: the address stands in the store alone.
    """
    from swarm.errors import UsageError
    from swarm.models.prices import is_loopback
    from swarm.observe.log import redact_text

    known = (os.environ.get("OPENAI_BASE_URL"), os.environ.get("ANTHROPIC_BASE_URL"))
    if address is not None and not is_loopback(address) and address not in known:
        raise UsageError(f"it asks its model at {redact_text(address)}: let the worker do so with --base-url")


@contextmanager
def _signals(made: Worker, *, quiet: bool) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def handle(number: int) -> None:
        if made.count.draining:
            _say("left at once; what was under way is worked by others")
            os._exit(128 + number)
        if not quiet:
            _say("draining: what is under way is finished; again leaves at once")
        made.drain()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _leaves(note: str) -> None:
    """What is wrong here is said also where nothing else is."""
    _say(f"left to other workers: {note}")


def _say(text: str) -> None:
    sys.stderr.write(f"swarm: {text}\n")
    sys.stderr.flush()
