"""A process that is killed while it remembers loses nothing that it was told is kept, and keeps nothing twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from swarm.memory.memory import open_memory

CHILD = """
import asyncio, sys
from swarm.memory.memory import open_memory

async def main(store, first):
    async with open_memory("a", store=store) as memory:
        for number in range(first, first + 100_000):
            text = f"message {number}: I live in Town{number}."
            said = [("user", text), ("assistant", "noted " * (number % 7 * 100))]
            await memory.remember(said)
            print(number, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_nothing_acknowledged_is_lost_and_nothing_doubled(store: Path) -> None:
    next_one = 0
    for rounds in range(4):
        command = [sys.executable, "-c", CHILD, str(store), str(next_one)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=store.parent, text=True)
        assert child.stdout is not None
        acknowledged = next_one - 1
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged >= next_one + 5 + 7 * rounds:
                child.send_signal(signal.SIGKILL)
                break
        acknowledged = max(
            [acknowledged, *(int(line) for line in child.stdout.read().split("\n") if line.isdigit())]
        )
        child.stdout.close()
        child.wait()
        async with open_memory("a", store=store) as memory:
            users = [message.text for message in memory.messages() if message.role == "user"]
            numbers = [int(text.split(":")[0].removeprefix("message ")) for text in users]
            assert numbers == list(range(len(numbers)))
            assert len(numbers) - 1 >= acknowledged
            (fact,) = memory.facts()
            assert fact.value == f"Town{numbers[-1]}"
            assert len(memory.history(fact)) == len(numbers)
        next_one = len(numbers)


READER = """
import asyncio, re, sys
from swarm.memory.memory import open_memory
from swarm.models.scripted import Scripted

def read(prompt):
    print("call", flush=True)
    text = "".join(passage.text for passage in prompt.passages)
    found = re.findall(r"(P[0-9]+)'s bird: (B[0-9]+)", text)
    return {"findings": [{"claim": f"{who} has a {bird}", "quote": f"{who}'s bird: {bird}", "relevance": 0.9}
                         for who, bird in found]}

async def main(store):
    model = Scripted({"read": read, "consolidate": {"statements": []}}, window=8_000, max_output=4_000)
    async with open_memory("a", store=store, model=model, concurrency=1) as memory:
        await memory.remember([("user", "Herons stood still. " * 120 + f"P{n}'s bird: B{n}") for n in range(40)])
        flushed = await memory.flush()
        print("done", flushed.complete, memory.unread_tokens, len(memory.facts(limit=999)), flush=True)

asyncio.run(main(sys.argv[1]))
"""


def test_a_flush_that_is_killed_goes_on_and_pays_nothing_twice(store: Path) -> None:
    def run(after: int | None) -> list[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", READER, str(store)], stdout=subprocess.PIPE, cwd=store.parent, text=True
        )
        assert child.stdout is not None
        told = []
        for line in child.stdout:
            told.append(line.strip())
            if after is not None and len(told) == after:
                child.send_signal(signal.SIGKILL)
                break
        child.stdout.close()
        child.wait()
        return told

    first, second, rest = run(4), run(3), run(None)
    assert first == ["call"] * 4
    assert second == ["call"] * 3
    assert rest[-1] == "done True 0 40"
    assert len(first) + len(second) + len(rest) - 1 - 2 <= _CALLS


_CALLS = 10
"""That one flush of this conversation takes when nothing ends it: one more was on its way at each kill."""
