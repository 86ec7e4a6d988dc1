"""One process at a time works on a run, and what one was told outlives it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from swarm.errors import StoreError
from swarm.testing.conformance.given import Opened, entry, running

_TAKEN_OVER_SECONDS = 10.0  # until a store has noticed that a process is dead
_WRITER = """
import asyncio
from swarm.models.base import Completion
from swarm.store.journal import Entry, Intent
from swarm.task import Usage

async def write(n):
    for i in range(10_000):
        key = f"{n:016x}{i:016x}"
        await journal.begin_call(Intent(run="run", key=key, model="m", kind="read", tokens=10, cost_usd=0.5))
        print("begun", key, flush=True)
        await journal.finish_call("run", key, Completion(text=key, usage=Usage(calls=1, input_tokens=3)))
        print("finished", key, flush=True)
        await journal.append("run", Entry(kind="report", key=key, body={"key": key}))
        print("recorded", key, flush=True)

async def main():
    await asyncio.gather(*[write(n) for n in range(16)])

asyncio.run(main())
"""
_HOLDER = """
import asyncio, sys
from swarm.store.journal import Entry

journal.hold("run")
asyncio.run(journal.append("run", Entry(kind="report", key="theirs", body={})))
print("held", flush=True)
sys.stdin.read()
"""


class ProcessConformance:
    """Processes: one at a time for each run, and what one was told outlives it."""

    async def test_what_was_acknowledged_survives_kill_9(self, opened: Opened, program: str) -> None:
        with running(program, _WRITER) as process:
            told = [_line(process) for _ in range(600)]
            process.kill()
            assert process.stdout is not None
            told += process.stdout.readlines()
        said = [line.split() for line in told if line.endswith("\n")]
        keys = {state: {key for what, key in said if what == state} for state in ("begun", "finished", "recorded")}
        assert len(keys["recorded"]) > 100
        with opened() as journal:
            assert keys["recorded"] <= set(journal.keys("run", "report"))
            for key in keys["finished"]:
                found = await journal.finished_call(key)
                assert found is not None
                assert found.text == key
            finished = journal.spent("run").calls
            assert finished >= len(keys["finished"])
            lost = await journal.settle_lost("run")
            assert len(keys["begun"]) <= finished + lost.calls <= len(keys["begun"]) + 16

    async def test_a_run_that_a_live_process_holds_is_refused_and_a_dead_one_s_is_taken_over(
        self, opened: Opened, program: str
    ) -> None:
        with running(program, _HOLDER) as process:
            assert _line(process) == "held\n"
            with _refused() as errors, opened() as journal:
                journal.hold("run")
            assert "in use by another process" in str(errors[0])
            process.kill()
            process.wait()
            kept = await self._taken_over(opened)
            assert kept == ["theirs", "ours"]

    async def _taken_over(self, opened: Opened) -> list[str]:
        end = time.monotonic() + _TAKEN_OVER_SECONDS
        while True:
            try:
                with opened() as journal:
                    journal.hold("run")
                    await journal.append("run", entry("ours"))
                    return journal.keys("run", "report")
            except StoreError:
                if time.monotonic() > end:
                    raise

    async def test_who_holds_a_run_may_take_it_again_and_is_seen_to_hold_it(self, opened: Opened) -> None:
        with opened() as journal:
            assert not journal.held("run")
            journal.hold("run")
            journal.hold("run")
            await journal.append("run", entry("1", "session"))
            assert journal.held("run")
            assert not journal.held("other")

    async def test_what_was_let_go_is_held_by_nobody_and_may_be_taken_again(self, opened: Opened) -> None:
        with opened() as journal:
            journal.hold("run")
            journal.hold("other")
            journal.let_go("run")
            await journal.append("other", entry("a"))  # comes after it
            assert not journal.held("run")
            assert journal.held("other")
            journal.let_go("never held")
            await journal.append("run", entry("b"))
            assert journal.keys("run", "report") == ["b"]

    async def test_closing_twice_is_safe(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.append("run", entry("a"))
            journal.close()
            journal.close()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@contextmanager
def _refused() -> Iterator[list[StoreError]]:
    errors: list[StoreError] = []
    try:
        yield errors
    except StoreError as error:
        errors.append(error)
    assert errors, "no StoreError was raised"
