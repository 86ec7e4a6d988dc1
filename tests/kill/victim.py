"""A run in a process of its own, to be killed: in a session of its own, with the real adapter, on a store that it
is told, up to a named point or to its end. It is forked from a process that has everything imported already, so
that a moment drawn at random falls into the run and not into imports. It checks nothing: `watch` does.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import swarm.coordinator.machine  # what takes long to import
import swarm.models.openai  # noqa: F401
from swarm.errors import SwarmError
from swarm.limits import attempts
from swarm.program import Program
from swarm.run import Swarm
from swarm.store import postgres  # noqa: F401
from swarm.task import Limits, Slicing, Task
from tests.kill.points import arm

RUN = "run"
ANSWER, SAID = "answer.json", "said.txt"
_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(["openai", "psycopg", "langgraph.graph", __name__, "tests.kill.member"])


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process is to run. `folder` is where it works and leaves its answer and what it says; `dies` names a
    point, and how often it comes there until it dies."""

    folder: Path
    store: str
    corpus: Path
    base_url: str
    question: str
    run: str = RUN
    model: str = "openai:any"
    slicing: Slicing = "source"
    window: int = 6_000
    concurrency: int = 64
    rounds: int = 3
    dies: tuple[str, int] | None = None

    @property
    def task(self) -> Task:
        return Task(
            questions=(self.question,),
            paths=(str(self.corpus),),
            slicing=self.slicing,
            limits=Limits(rounds=self.rounds),
        )

    @property
    def plan(self) -> Program | None:
        """Of work, the plan that is code."""
        return None


def start(job: Job) -> BaseProcess:
    """A process that does the job; its answer is in the folder when it exits with 0."""
    (job.folder / ANSWER).unlink(missing_ok=True)
    process = _fork.Process(target=_main, args=(job,))
    process.start()
    return process


def warm() -> None:
    """Have the process from which the others are forked import everything."""
    process = _fork.Process(target=int)
    process.start()
    process.join()


def _main(job: Job) -> None:
    os.setsid()
    os.chdir(job.folder)
    os.environ |= {"OPENAI_API_KEY": "not-a-real-key", "NO_PROXY": "*"}
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    attempts.ATTEMPTS = 2
    attempts._jitter = lambda tries: 0.001 * tries  # type: ignore[attr-defined]
    if job.dies is not None:
        arm(*job.dies)
    swarm = Swarm(
        job.model, store=job.store, base_url=job.base_url, window=job.window, concurrency=job.concurrency
    )
    try:
        answer = asyncio.run(swarm.run(job.task, run_id=job.run, plan=job.plan))
    except SwarmError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    unfinished = Path(f"{ANSWER}.part")
    unfinished.write_text(json.dumps(asdict(answer)), "utf-8")
    unfinished.rename(ANSWER)
