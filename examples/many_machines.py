"""A run that two worker processes work by way of a PostgreSQL server; one of them is killed in the middle.

The server is one of its own, in a temporary folder, and the model a SIMULATED one: no key, no network. On real
machines each worker is `swarm worker --store postgresql://…`; here a lease lasts 2 seconds and not 15, so that
there is less to wait for.

    python examples/many_machines.py
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, chdir
from pathlib import Path

from swarm import Answer, Swarm, Task
from swarm.events import Finished, SliceFinished
from swarm.store.opening import Store, open_store
from swarm.testing.postgres import LocalPostgres
from swarm.testing.provider import Provider

DOCS = Path(__file__).resolve().parents[1] / "docs"
TASK = Task(
    questions=("How many processes work on a run?",),
    paths=tuple(str(DOCS / name) for name in ("store.md", "durability.md", "rates.md")),
)
WORKER = "from swarm.remote import heart; heart.LEASE_SECONDS = 2.0; from swarm.__main__ import run; run()"


def start_worker(store: str, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    command = [sys.executable, "-c", WORKER, "worker", "--store", store, "--concurrency", "4", "--quiet"]
    return subprocess.Popen(command, cwd=folder)  # noqa: S603


def wait_for(store: Store, workers: int) -> None:
    while len(store.machines.seen()) < workers:
        time.sleep(0.1)


async def coordinate(swarm: Swarm, victim: subprocess.Popen[bytes]) -> Answer:
    """Follow the run, and kill a worker while it waits for the replies to its next calls."""
    done = 0
    async with swarm.stream(TASK) as events:
        async for event in events:
            match event:
                case SliceFinished():
                    done += 1
                    if done == 8:
                        await asyncio.sleep(0.3)
                        victim.kill()
                case Finished(answer=answer):
                    return answer
    raise AssertionError


def main() -> None:
    with ExitStack() as held:
        try:
            server = held.enter_context(LocalPostgres())
        except (LookupError, ImportError) as error:
            print(f"nothing to show: {error}")
            return
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        held.enter_context(chdir(folder))  # what this process keeps on its own disk goes there as well
        provider = held.enter_context(Provider(latency=0.6, keep=False))  # seconds
        store, model, url = server.database(), "openai:simulated", provider.openai_url
        workers = [start_worker(store, folder / f"machine {number}") for number in (1, 2)]
        for worker in workers:
            held.callback(worker.kill)
        alone = Swarm(model, base_url=url, window=6_000, store=folder / "alone.db")
        expected = asyncio.run(alone.run(TASK))
        many = Swarm(model, base_url=url, window=6_000, store=store, engine="postgres")
        with open_store(store, read_only=True) as opened:
            wait_for(opened, workers=2)
            answer = asyncio.run(coordinate(many, workers[0]))
            begun = [record.key for record in opened.journal.records(answer.run_id, "placed")]
        workers[1].terminate()  # it drains
        for worker in workers:
            worker.wait()
    moved = sum(times > 1 for times in Counter(key.partition(":")[0] for key in begun).values())
    assert (answer.text, answer.graph) == (expected.text, expected.graph)
    print(f"{answer.slices} slices by two workers with a SIMULATED model; one was killed, {moved} slices moved")
    print(f"the answer and the graph are those of a run in one process: {answer.statements[0].text}")


if __name__ == "__main__":
    main()
