"""A chat whose agent sees a view of its memory and never the whole conversation. The agent is scripted: no key."""

import asyncio
import tempfile
from pathlib import Path

from swarm import Memory, open_memory

SAID = (
    "Good morning, I'm Anna. I live in Porto.",
    "My favourite colour is green.",
    "It rained all day.",
    "I moved to Lisbon.",
    "Where do I live?",
)


def agent(view: str, question: str) -> str:
    """What a language model would do: answer from what it is shown."""
    if not question.endswith("?"):
        return "I see."
    fact = next((line for line in view.splitlines() if "lives in" in line), "")
    return f"You live in {fact.split('lives in ')[1].split(' (')[0]}." if fact else "I do not know."


async def chat(memory: Memory, question: str) -> str:
    await memory.remember([{"role": "user", "name": "Anna", "content": question}])
    view = await memory.view(question, tokens=1_000)
    answer = agent(view.text, question)
    await memory.remember([{"role": "assistant", "content": answer}])
    return answer


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_memory("anna", store=Path(folder) / "memory.db") as memory:
            for question in SAID:
                print(f"Anna:  {question}\nAgent: {await chat(memory, question)}")
            for fact in memory.history("Anna", "location"):
                print(f"- {fact.text}{'' if fact.now else ' (no longer)'}")


if __name__ == "__main__":
    asyncio.run(main())
