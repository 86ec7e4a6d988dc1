"""One machine of a fleet, as a process to be killed: a worker, or a coordinator, that works in a folder of its own
and knows the others by the store alone. As `victim`, it is forked from a process that has everything imported.

Leases are short, and all that goes by them. Each request is noted before it is sent, with the name of its call: of
a request the server only sees the content.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from hashlib import blake2b
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import httpx2

import swarm.coordinator.machine
import swarm.engine.postgres
import swarm.models.openai
import swarm.store.postgres
import swarm.store.postgres_asks  # noqa: F401
from swarm.cli import worker as command
from swarm.coordinator import away, distributed
from swarm.errors import StoreInUse, SwarmError
from swarm.limits import attempts
from swarm.models.base import Model
from swarm.models.registry import connect
from swarm.observe.log import to_stderr
from swarm.observe.scope import scope
from swarm.remote import heart, joined, serve, standby
from swarm.run import Swarm
from tests.kill.victim import ANSWER, SAID, Job

LEASE_SECONDS = 1.5
SILENT_SECONDS = 3.0
"""After which a coordinator that hangs is taken over from."""
SENT = "sent.txt"
Part = Literal["worker", "coordinator"]
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_fork = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A process of a fleet. `folder` is where it works, the store and the provider are as it reaches them. In the
    folder of the `job` is what all of them do outside. A coordinator stands by where another is at the run, unless
    it is `hasty`."""

    part: Part
    job: Job
    folder: Path
    store: str
    base_url: str
    places: int
    hasty: bool = False
    network: str = ""
    """A network namespace to be in."""


def start(member: Member) -> BaseProcess:
    """The process; a coordinator's answer is in its folder when it exits with 0."""
    (member.folder / ANSWER).unlink(missing_ok=True)
    process = _fork.Process(target=_main, args=(member,))
    process.start()
    return process


def _main(member: Member) -> None:
    os.setsid()
    if member.network:
        with Path("/run/netns", member.network).open() as network:
            assert ctypes.CDLL(None).setns(network.fileno(), _NEW_NETWORK) == 0
    os.chdir(member.folder)
    os.environ |= {"OPENAI_API_KEY": "not-a-real-key", "NO_PROXY": "*"}
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faulthandler.register(signal.SIGUSR1)
    to_stderr(level=logging.WARNING)
    _hasten()
    _note_requests(member.job.folder / SENT)
    try:
        answer = asyncio.run(_work(member) if member.part == "worker" else _coordinate(member))
    except SwarmError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    if answer is not None:
        unfinished = Path(f"{ANSWER}.part")
        unfinished.write_text(json.dumps(answer), "utf-8")
        unfinished.rename(ANSWER)


async def _work(member: Member) -> None:
    def model(name: str, window: int | None, _: str | None) -> Model:
        return connect(name, window=window, base_url=member.base_url)

    terms = joined.Terms(models=model, places=member.places, plan=member.job.plan)
    async with command.serving(member.store, terms) as made:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, made.drain)
        await made.serve()


async def _coordinate(member: Member) -> dict[str, Any]:
    job = member.job
    swarm = Swarm(
        job.model,
        store=member.store,
        base_url=member.base_url,
        window=job.window,
        concurrency=job.concurrency,
        engine="postgres",
    )
    while not member.hasty:
        await standby.stand_by(job.run, member.store, lambda text: print(text, file=sys.stderr, flush=True))
        try:
            return asdict(await swarm.run(job.task, run_id=job.run, plan=job.plan))
        except StoreInUse as error:  # another was faster, or has taken over
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return asdict(await swarm.run(job.task, run_id=job.run, plan=job.plan))


def _hasten() -> None:
    attempts.ATTEMPTS = 2
    attempts._jitter = lambda tries: 0.001 * tries  # type: ignore[attr-defined]
    for module in (heart, serve):
        module.LEASE_SECONDS = LEASE_SECONDS  # type: ignore[attr-defined]
    away._LOOK_SECONDS, away._AGAIN_SECONDS = 0.3, 1.0
    distributed._BEAT_SECONDS = 0.5
    standby.SILENT_SECONDS, standby._LOOK_SECONDS = SILENT_SECONDS, 0.2


def _note_requests(path: Path) -> None:
    """A line before each request: when, by whom, of which content, and for which call."""
    transport = httpx2.AsyncHTTPTransport
    original = transport.handle_async_request
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def noted(self: Any, request: Any) -> Any:
        content = blake2b(request.url.path.encode() + request.content, digest_size=12).hexdigest()
        os.write(file, f"{time.time()} {os.getpid()} {content} {scope().call}\n".encode())
        return await original(self, request)

    transport.handle_async_request = noted
