"""A run that two worker processes work through a PostgreSQL server; one of them is killed in the middle.

The server is one of its own, in a temporary folder, and the model a SIMULATED one: no key, no network. On real
machines each worker is `swarm worker --store postgresql://…`; here a lease lasts 2 seconds and not 15, so that
there is less to wait for.

    python examples/many_machines.py
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from swarm import Answer, Swarm, Task
from swarm.events import Finished, SliceFinished
from swarm.store.opening import open_store
from swarm.testing.postgres import LocalPostgres
from swarm.testing.provider import Provider

TASK = Task(
    questions=("What happens to a call when a process is killed?",),
    paths=("docs/durability.md", "docs/store.md", "docs/rates.md", "docs/limits.md"),
)
WORKER = "from swarm.remote import heart; heart.LEASE_SECONDS = 2.0; from swarm.__main__ import run; run()"


def start_worker(store: str, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    command = [sys.executable, "-c", WORKER, "worker", "--store", store, "--concurrency", "4", "--quiet"]
    return subprocess.Popen(command, cwd=folder)


async def coordinate(swarm: Swarm, victim: subprocess.Popen[bytes]) -> Answer:
    """Follow the run, and kill a worker once a third slice is done."""
    done = 0
    async with swarm.stream(TASK) as events:
        async for event in events:
            match event:
                case SliceFinished():
                    done += 1
                    if done == 3:
                        victim.kill()
                case Finished(answer=answer):
                    return answer
    raise AssertionError


def main() -> None:
    with tempfile.TemporaryDirectory() as name, Provider(latency=0.3, keep=False) as provider:
        folder, model, url = Path(name), "openai:simulated", provider.openai_url
        alone = Swarm(model, base_url=url, window=6_000, store=folder / "alone.db")
        expected = asyncio.run(alone.run(TASK))
        try:
            server = LocalPostgres()
            store = server.__enter__().database()
        except LookupError as error:
            print(f"nothing to show: {error}")
            return
        try:
            workers = [start_worker(store, folder / f"machine {number}") for number in (1, 2)]
            many = Swarm(model, base_url=url, window=6_000, store=store, engine="postgres")
            answer = asyncio.run(coordinate(many, workers[0]))
            workers[1].terminate()  # it drains
            for worker in workers:
                worker.wait()
            with open_store(store, read_only=True) as opened:
                placed = [record.key.partition(":")[0] for record in opened.journal.records(answer.run_id, "placed")]
        finally:
            server.__exit__(None, None, None)
    moved = sum(times > 1 for times in Counter(placed).values())
    assert (answer.text, answer.graph) == (expected.text, expected.graph)
    print(f"{answer.slices} slices on two workers with a SIMULATED model; one was killed, and {moved} slices moved")
    print(f"the answer and the graph ({answer.graph}) are those of a run in one process:\n{answer.text}")


if __name__ == "__main__":
    main()
