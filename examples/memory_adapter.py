"""OpenAI's own client in a window of 4,000 tokens, in a conversation of ten times that.

The provider is SIMULATED (`swarm.testing.provider`): it counts, bills, and refuses what is past its window.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from swarm import Memory, open_memory
from swarm.memory.adapter import Budgeted
from swarm.testing.provider import Provider

WINDOW = 4_000
SMALL_TALK = "We spoke of the garden, of the neighbours, and of what to cook on Sunday. " * 12


async def chat(client: AsyncOpenAI, memory: Memory) -> list[Any]:
    budgeted = Budgeted(memory, tokens=3_000)
    messages: list[Any] = [{"role": "system", "content": "You are a friend of Anna's."}]
    for turn in range(100):
        text = "I adopted a dog called Rex." if turn == 1 else f"{turn}: {SMALL_TALK}"
        messages.append({"role": "user", "name": "Anna", "content": text})
        reply = await client.chat.completions.create(model="simulated", messages=await budgeted.fit(messages))
        messages.append(reply.choices[0].message)
    return await budgeted.fit([*messages, {"role": "user", "name": "Anna", "content": "What is my dog called?"}])


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Provider(window=WINDOW) as provider:
        client = AsyncOpenAI(base_url=provider.openai_url, api_key="none")
        async with open_memory("anna", store=Path(folder) / "memory.db") as memory, client:
            last = await chat(client, memory)
            print(f"{len(memory)} messages of {memory.tokens:,} tokens in a window of {WINDOW:,}: ", end="")
            print(f"{len(provider.requests)} requests, none refused")
            print(f"the last would send {len(last)} messages; the view among them says:")
            print(next(line for message in last for line in str(message).split("\\n") if "Rex" in line))


if __name__ == "__main__":
    asyncio.run(main())
