"""A memory beside runs: in one store, at one time, each with its own texts; and a memory as a run's graph."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.errors import StoreInUse
from swarm.knowledge import open_knowledge
from swarm.memory.memory import open_memory
from swarm.run import Swarm
from swarm.store.library import APART
from swarm.task import Task


async def test_runs_and_memories_of_one_process_share_a_store(store: Path) -> None:
    (store.parent / "mill.md").write_text("The mill burnt in 1812.\n\nAnn Smith owns the mill.\n" * 30)
    task = Task(questions=("Who owns the mill?",), paths=(str(store.parent / "mill.md"),))
    async with open_memory("a", store=store) as memory:
        await memory.remember([("user", "I live in Rome.")])
        answer, *_ = await asyncio.gather(
            Swarm(store=store).run(task),
            *(memory.remember([("user", f"message {number} of herons")]) for number in range(20)),
        )
        assert "Ann Smith" in answer.text
        assert len(memory) == 21
        low = memory.log.database.read("SELECT count(*) FROM sources WHERE num < ?", (APART,))
        assert low == [(1,)]
        again = await Swarm(store=store).run(task)
        assert again.text == answer.text
        assert next(memory.messages(last=1)).text.endswith("of herons")


async def test_a_memory_is_opened_as_what_a_run_knows_with_exact_quotes(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        said = {"role": "user", "name": "Anna", "content": "Hello. I live in Rome. Bye.", "at": "2024-01-01"}
        await memory.remember([said])
        run = memory.run_id
    with open_knowledge(run, store) as known:
        (finding,) = known.findings()
        assert (finding.claim, finding.subject, finding.value) == ("Anna lives in Rome", "Anna", "Rome")
        ((where, _, quote),) = known.open(finding.id).evidence
        assert (where.path, quote) == ("Anna, 2024-01-01", "I live in Rome.")
        assert "Anna lives in Rome" in known.view("Where does Anna live?", tokens=300).text


async def test_another_process_is_refused_in_one_clear_line(store: Path) -> None:
    script = (
        "import asyncio, sys\nfrom swarm.memory.memory import open_memory\n"
        "async def main():\n    async with open_memory('a', store=sys.argv[1]):\n        print('in')\n"
        "try:\n    asyncio.run(main())\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    async with open_memory("a", store=store):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", script, str(store)],
            capture_output=True,
            text=True,
            cwd=store.parent,
            env=dict(os.environ),
            check=True,
        )
    assert done.stdout.startswith(f"{StoreInUse.__name__} {store} is in use by another process")


async def test_what_is_said_is_not_logged(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from swarm.memory.rebuild import rebuild

    async with open_memory("a", store=store) as memory:
        await memory.remember([("user", "my password is quixotica-1")])
        rebuild(memory._home)
        await memory.view("password")
    assert "quixotica" not in "".join(capfd.readouterr())
