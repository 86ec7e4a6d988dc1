"""A provider of its own for each test, and the real SDKs, through Swarm's adapters, to talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from swarm.models.anthropic import Anthropic
from swarm.models.language import LanguageModel
from swarm.models.openai import OpenAI
from swarm.prompts.typed import ReadPrompt
from swarm.source import Passage, Span
from swarm.testing.provider import Provider

TEXT = "The lighthouse was built in 1871.\nIda Lewis kept the lighthouse for 54 years.\nIt is white.\n"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(params=["messages", "chat", "responses"])
def wire(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., LanguageModel]]:
    """Makes a model that talks to a provider in one format, and closes it."""
    made: list[LanguageModel] = []

    def make(wire: str, provider: Any, **settings: Any) -> LanguageModel:
        if wire == "messages":
            made.append(Anthropic("claude-test", base_url=provider.url, **settings))
        else:
            made.append(OpenAI("test", api=wire, base_url=provider.openai_url, **settings))
        return made[-1]

    yield make
    for model in made:
        await model.close()


@pytest.fixture
def read() -> Callable[..., ReadPrompt]:
    """Makes a prompt to read one passage."""

    def make(text: str = TEXT) -> ReadPrompt:
        passage = Passage(id=1, span=Span("s1", 0, len(text)), tokens=1, cut=9, context="Lime Rock", text=text)
        return ReadPrompt(
            question="Who kept the lighthouse?",
            output="answer",
            passages=(passage,),
            paths={"s1": "notes/lime-rock.md"},
            tokens=1,
            max_findings=5,
        )

    return make
