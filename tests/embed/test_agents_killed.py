"""An agent's process is killed while its task is at work: an agent in another process goes on with the same task,
and no call that was answered is sent again. SIMULATED: the agent's provider, and the one that reads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarm.embed.jobs import Jobs
from swarm.embed.tools import job_tools
from swarm.testing.analyst import analyst, calling
from swarm.testing.process import Apart
from swarm.testing.provider import Provider
from swarm.testing.seen import Seen
from tests.embed.agents import DRIVES
from tests.kill.conftest import write_corpus

QUESTION = "Who was the keeper of the lighthouse?"
AT_ONCE = 2
VICTIM = """
import asyncio, sys
from swarm.embed.jobs import Jobs
from swarm.embed.tools import job_tools
from swarm.testing.analyst import analyst
from swarm.testing.provider import Provider
from tests.embed.agents import DRIVES
from tests.embed.test_agents_killed import QUESTION, settings

async def main(store, corpus, url):
    async with Jobs(store, "openai:any", roots=[corpus], **settings(url)) as jobs:
        async with Provider(hands=analyst).here() as provider:
            await DRIVES["anthropic"](provider, job_tools(jobs), f"Question: {QUESTION}")

asyncio.run(main(*sys.argv[1:]))
"""


def settings(url: str) -> dict[str, Any]:
    return {"base_url": url, "window": 5_500, "concurrency": AT_ONCE}


def returning(seen: Seen) -> dict[str, Any]:
    """Knows that there is a task, and goes on where the other agent was."""
    return analyst(seen) if seen.turns else calling("wait_task", run="last", seconds=30)


@pytest.mark.soak
async def test_an_agent_goes_on_with_the_task_of_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    corpus, store = write_corpus(tmp_path / "mills", 20), tmp_path / "tasks.db"
    with Apart(latency=0.05) as reader:
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(store), str(corpus), reader.openai_url],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        try:
            await asyncio.to_thread(reader.wait_for, replies=5)
        finally:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        await asyncio.to_thread(reader.wait_for, quiet=True)
        assert reader.counts()["requests"] >= 5
        async with (
            Jobs(store, "openai:any", roots=[corpus], **settings(reader.openai_url)) as jobs,
            Provider(hands=returning).here() as provider,
        ):
            said = await DRIVES["agents, responses"](provider, job_tools(jobs), "Go on.")
            (status,) = await jobs.runs(10)
        counts = reader.counts()
    assert said.startswith(f"{status.run}: ")
    assert "was called Ida Lewis" in said
    assert status.status == "answered"
    assert counts["requests"] - counts["distinct"] <= AT_ONCE  # what was in flight when it was killed
