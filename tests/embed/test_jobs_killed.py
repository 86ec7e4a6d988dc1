"""A process with three tasks at once is killed: of two that come after it, on one store, each task goes on in one,
and nothing that was answered is sent again. SIMULATED: the provider."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.history import runs
from swarm.testing.postgres import LocalPostgres
from swarm.testing.process import Apart
from tests.kill.conftest import write_corpus

TASKS, AT_ONCE = 3, 2
PROCESS = """
import asyncio, sys
from swarm.embed.jobs import Jobs

async def main(store, corpus, url, begins):
    settings = {"base_url": url, "window": 5_500, "concurrency": 2, "total_usd": 50}
    async with Jobs(store, "openai:any", roots=corpus, **settings) as jobs:
        for number in range(int(begins)):
            await jobs.start(f"Who was keeper number {number} of the lighthouse?", ["."])
        for run in list(jobs._running.live):
            await jobs.wait(run)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_three_tasks_of_a_killed_process_go_on_once_each(
    kind: str, postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the file beside a server goes
    store = postgres.database() if kind == "postgres" else str(tmp_path / "tasks.db")
    corpus = write_corpus(tmp_path / "mills", 20)
    with Apart(latency=0.05) as reader:

        def process(begins: int) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-c", PROCESS, store, str(corpus), reader.openai_url, str(begins)],
                env={**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": str(Path(__file__).parents[2])},
            )

        killed = process(TASKS)
        try:
            await asyncio.to_thread(reader.wait_for, replies=12)
        finally:
            killed.kill()
            killed.wait()
        await asyncio.to_thread(reader.wait_for, quiet=True)
        begun = len(runs(store))
        after = [process(0) for _ in range(2)]
        assert [await asyncio.to_thread(one.wait, 120) for one in after] == [0, 0]
        counts = reader.counts()
    assert begun == TASKS
    assert [run.status for run in runs(store)] == ["answered"] * TASKS
    assert counts["requests"] - counts["distinct"] <= TASKS * AT_ONCE  # what was on its way
