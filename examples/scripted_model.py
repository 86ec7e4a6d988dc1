"""A whole run with a model that says what it is told to: how to test what you build on Swarm."""

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

from swarm import Swarm, Task
from swarm.models.scripted import Scripted
from swarm.prompts.typed import AnswerPrompt, Prompt, ReadPrompt


def reply(prompt: Prompt[Any]) -> dict[str, Any]:
    """Finds years by a pattern; everything else it is asked has the shortest reply that fits."""
    match prompt:
        case ReadPrompt(passages=passages):
            text = "".join(passage.text for passage in passages)
            quotes = re.findall(r"[^.\n]*\b\d{4}\b[^.\n]*\.", text)
            return {"findings": [{"claim": quote, "quote": quote, "relevance": 0.8} for quote in quotes]}
        case AnswerPrompt(shown=shown):
            statements = [{"text": item.finding.claim, "findings": [item.label]} for item in shown]
            return {"answerable": bool(shown), "statements": statements}
    others: dict[str, dict[str, Any]] = {
        "plan": {"queries": ["year"], "reading": ""},
        "judge": {"verdict": "answer"},
    }
    return others[prompt.kind]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.txt"
        notes.write_text("The pier was built in 1931.\n\nIt was painted green.\n\nIt was painted red in 1984.\n")
        model = Scripted(reply)
        answer = await Swarm(model, store=Path(folder) / "test.db").run(
            Task(questions=("Which years are named?",), paths=(str(notes),))
        )
    print(answer.text)
    print(f"{len(model.calls)} calls: {', '.join(prompt.kind for prompt in model.calls)}")
    assert {citation.line for citation in answer.citations} == {1, 5}


if __name__ == "__main__":
    asyncio.run(main())
