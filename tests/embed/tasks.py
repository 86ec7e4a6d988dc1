"""What tests of tasks have in common: a corpus of one fact a file, and a model that waits when it is told to."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from swarm.models.base import Completion, Price
from swarm.models.scripted import Scripted
from swarm.prompts.typed import AnswerPrompt, JudgePrompt, Prompt, ReadPrompt

PAID = Price(input_usd=2.0, output_usd=8.0, cached_usd=2.0)
QUESTION = "Under which stone does each key lie?"
KEY = re.compile(r"The key of house \d+ lies under stone \d+\.")
HOUSES = 6


def write_corpus(folder: Path, houses: int = HOUSES, rooms: int = 60) -> Path:
    folder.mkdir()
    for number in range(houses):
        lines = [f"House {number} has a room {n} that looks upon the river and the mill." for n in range(rooms)]
        lines.insert(rooms // 2, f"The key of house {number} lies under stone {number * 7 + 3}.")
        (folder / f"house-{number}.md").write_text("\n\n".join(lines), "utf-8")
    return folder


def keys(prompt: Prompt[Any]) -> Any:
    """Finds every key, and says what it found."""
    match prompt:
        case ReadPrompt():
            found = KEY.findall(" ".join(passage.text for passage in prompt.passages))
            return {"findings": [{"claim": key, "quote": key, "relevance": 0.9} for key in found]}
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt():
            statements = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown]
            return {"answerable": bool(statements), "statements": statements}
    return {"queries": ["key"], "reading": "look for keys"}


class Held(Scripted):
    """Its readers wait after the first few of them, until they are let go."""

    def __init__(self, after: int = 1_000, **settings: Any) -> None:
        super().__init__(keys, **({"window": 2_500, "price": PAID} | settings))
        self.go_on, self.waits = asyncio.Event(), asyncio.Event()
        self.after = after
        self.closed = 0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        if isinstance(prompt, ReadPrompt):
            self.after -= 1
            if self.after < 0:
                self.waits.set()
                await self.go_on.wait()
        return await super().call(prompt, max_output=max_output)

    async def close(self) -> None:
        self.closed += 1


def sent(*models: Scripted) -> list[str]:
    """What was sent, one text for each call."""
    return [json.dumps(prompt.identity(), sort_keys=True) for one in models for prompt in one.calls]


def nothing_twice(*models: Scripted) -> bool:
    return len(sent(*models)) == len(set(sent(*models)))
