"""Real SDKs against a provider on a loopback address, one of each wire format."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from swarm.models.anthropic import Anthropic
from swarm.models.language import LanguageModel, schema_of
from swarm.models.openai import OpenAI
from swarm.prompts.acting import REPORT, ActPrompt, CallResult, ToolSpec, Turn, named
from swarm.prompts.replies import ActReply, ToolCall, WorkReply
from swarm.prompts.typed import AnswerPrompt, ReadPrompt, Shown, WorkPrompt
from swarm.source import Passage, Span
from swarm.task import Finding
from swarm.testing.provider import Provider

Connect = Callable[..., LanguageModel]

FORMATS: dict[str, Connect] = {
    "messages": lambda provider, **settings: Anthropic("claude-test", base_url=provider.url, **settings),
    "chat": lambda provider, **settings: OpenAI("test", base_url=provider.openai_url, **settings),
    "responses": lambda provider, **settings: OpenAI(
        "test", api="responses", base_url=provider.openai_url, **settings
    ),
}


@pytest.fixture(scope="session")
def _server() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(_server: Provider) -> Provider:
    """A provider with nothing set and nothing asked."""
    fresh = vars(Provider())
    vars(_server).update({name: fresh[name] for name in fresh if name != "url"})
    return _server


@pytest.fixture(params=FORMATS)
def wire(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def connect(provider: Provider) -> AsyncIterator[Connect]:
    """Makes a model that talks to the provider in one format, and closes it."""
    made: list[LanguageModel] = []

    def make(wire: str, **settings: Any) -> LanguageModel:
        made.append(FORMATS[wire](provider, **settings))
        return made[-1]

    yield make
    for model in made:
        await model.close()


def _read(text: str, question: str = "Who kept the lighthouse?", path: str = "notes/lime-rock.md") -> ReadPrompt:
    passage = Passage(id=1, span=Span("s1", 0, len(text)), tokens=1, cut=9, context="Lime Rock", text=text)
    return ReadPrompt(
        question=question, output="answer", passages=(passage,), paths={"s1": path}, tokens=1, max_findings=5
    )


def _view(*claims: str, question: str = "Who kept the lighthouse?") -> AnswerPrompt:
    shown = tuple(
        Shown(
            label=f"F{number}",
            finding=Finding(id=f"f{number}", claim=claim, evidence=(Span("s1", 0, 5),)),
            quotes=(claim,),
            where=f"notes/lime-rock.md:{number}",
        )
        for number, claim in enumerate(claims, 1)
    )
    return AnswerPrompt(question=question, shown=shown)


@pytest.fixture
def read() -> Callable[..., ReadPrompt]:
    """Makes a prompt to read one passage."""
    return _read


@pytest.fixture
def view() -> Callable[..., AnswerPrompt]:
    """Makes a prompt to answer from findings with these claims."""
    return _view


class Steps:
    """A sub-agent with tools: prompts of its steps, and from one to the next."""

    tools = (
        ToolSpec(
            name="read_file",
            description="Reads a file of the workspace.",
            parameters={
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Where it is"},
                    "line": {"type": "integer"},
                },
                "required": ["path"],
            },
        ),
        ToolSpec(
            name="list_files", description="Lists all files.", parameters={"type": "object", "properties": {}}
        ),
        ToolSpec(name=REPORT, description="Hands in and ends.", parameters=schema_of(WorkReply)),
    )

    def step(self, *turns: Turn, force: bool = False, objective: str = "Mend the lighthouse.") -> ActPrompt:
        base = WorkPrompt(question="Keep the coast lit.", objective=objective, basis=("mend",), shown=())
        return ActPrompt(
            question=base.question,
            base=base,
            tools=self.tools,
            toolset=named(self.tools),
            turns=turns,
            force=force,
        )

    def turn(
        self, *calls: tuple[str, str], results: tuple[str | CallResult, ...], says: str = "", kept: str = ""
    ) -> Turn:
        """One in which these tools are called, by name and arguments."""
        made = (ToolCall(id=f"id_{n}", name=name, arguments=given) for n, (name, given) in enumerate(calls))
        told = (one if isinstance(one, CallResult) else CallResult(text=one) for one in results)
        return Turn(says=says, calls=tuple(made), results=tuple(told), kept=kept)

    async def ask(self, model: Any, prompt: ActPrompt) -> ActReply:
        return ActReply.model_validate_json((await model.call(prompt, max_output=2_000)).text)

    def after(self, prompt: ActPrompt, reply: ActReply, *results: str | CallResult) -> ActPrompt:
        """The step after that reply, with what came of it."""
        told = tuple(one if isinstance(one, CallResult) else CallResult(text=one) for one in results)
        done = Turn(says=reply.says, calls=tuple(reply.calls), results=told, kept=reply.kept)
        return replace(prompt, turns=(*prompt.turns, done))


@pytest.fixture
def steps() -> Steps:
    return Steps()
