"""A message list of any SDK under a budget: what stays, what stands for the rest; and nothing is torn apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from swarm.errors import PromptTooLong, UsageError
from swarm.memory.adapter import Budgeted
from swarm.memory.memory import Memory
from swarm.memory.messages import Message
from swarm.memory.messages import given as messages_of
from swarm.memory.units import as_message, shape, size, text_of, units, wire_of
from swarm.tokens import Bound, Exact, o200k
from swarm.views.mark import marked, stretches

UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
WIRES = ("chat", "responses", "messages", "langchain")


@dataclass
class Seen:
    text: str


@dataclass
class Kept:
    ids: tuple[str, ...]


@dataclass
class Noting:
    """A memory that notes what it is told, and shows as much as it may."""

    told: list[Any] = field(default_factory=list)
    views: list[tuple[str, int]] = field(default_factory=list)
    flushed: int = 0

    async def remember(self, messages: list[Any]) -> Kept:
        ids = []
        for message in messages:
            if isinstance(message, Message):
                ids.append(message.id)
                continue
            text = text_of(as_message(message))
            assert not stretches(text), "a view is handed over to be learnt"
            if as_message(message) not in self.told:
                self.told.append(as_message(message))
            ids.append(f"t{self.told.index(as_message(message)):032x}" if messages_of([message]) else "")
        return Kept(tuple(ids))

    def message(self, id_: str) -> Message:
        (found,) = [n for n in range(len(self.told)) if f"t{n:032x}".startswith(id_)] if len(id_) > 17 else [0]
        return Message(role="tool", text="whole", id=id_, num=found)

    async def view(self, about: str, tokens: int, recent: int | None, beside: frozenset[str]) -> Seen:
        assert recent == 0, "what is recent stands in the list already"
        self.views.append((about, tokens))
        if all(f"t{number:032x}" in beside or not messages_of([one]) for number, one in enumerate(self.told)):
            return Seen("")
        words = "known " * (tokens - 48)
        return Seen(marked("memory", words)) if tokens > 50 else Seen("")

    async def flush(self, about: str = "") -> None:
        self.flushed += 1


def budgeted(memory: Noting, tokens: int, **more: Any) -> Budgeted:
    return Budgeted(cast("Memory", memory), tokens, **more)


# Conversations of each SDK


def said(wire: str, text: str) -> list[Any]:
    if wire == "langchain":
        from langchain_core.messages import HumanMessage

        return [HumanMessage(text)]
    return [{"role": "user", "content": text}]


def answered(wire: str, text: str) -> list[Any]:
    if wire == "langchain":
        from langchain_core.messages import AIMessage

        return [AIMessage(text)]
    if wire == "responses":
        return [
            {"type": "reasoning", "id": "rs", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]},
        ]
    return [{"role": "assistant", "content": text}]


def stepped(wire: str, ids: list[str], result: str) -> list[Any]:
    """A step of the model: calls at once, and their results."""
    if wire == "chat":
        calls = [{"id": i, "type": "function", "function": {"name": "look", "arguments": "{}"}} for i in ids]
        return [
            {"role": "assistant", "content": None, "tool_calls": calls},
            *({"role": "tool", "tool_call_id": i, "content": result} for i in ids),
        ]
    if wire == "responses":
        return [
            {"type": "reasoning", "id": "rs", "summary": []},
            *({"type": "function_call", "call_id": i, "name": "look", "arguments": "{}"} for i in ids),
            *({"type": "function_call_output", "call_id": i, "output": result} for i in ids),
        ]
    if wire == "messages":
        return [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": i, "name": "n", "input": {}} for i in ids],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": i, "content": result} for i in ids],
            },
        ]
    from langchain_core.messages import AIMessage, ToolMessage

    return [
        AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": i} for i in ids]),
        *(ToolMessage(result, tool_call_id=i) for i in ids),
    ]


def system(wire: str, text: str) -> list[Any]:
    if wire == "messages":
        return []
    if wire == "langchain":
        from langchain_core.messages import SystemMessage

        return [SystemMessage(text)]
    return [{"role": "developer" if wire == "responses" else "system", "content": text}]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[str, list[list[Any]]]:
    """A wire, and what is added to a list at each turn."""
    wire = draw(st.sampled_from(WIRES))
    added, number = [system(wire, "Be brief.")], 0
    for turn in range(draw(st.integers(1, 7))):
        grown = said(wire, f"question {turn} " + "word " * draw(st.integers(0, 60)))
        for _ in range(draw(st.integers(0, 4))):
            ids = [f"call-{number + n}" for n in range(draw(st.integers(1, 3)))]
            number += len(ids)
            grown += stepped(wire, ids, "found " * draw(st.integers(0, 30)))
            if draw(st.booleans()):
                added.append(grown)
                grown = []
        added.append(grown + answered(wire, "answer " * draw(st.integers(1, 60))))
    return wire, added


def unbroken(result: list[Any]) -> None:
    """Calls and results come in pairs, each result after its call; reasoning has what follows it."""
    called: set[str] = set()
    answers: set[str] = set()
    for message in result:
        one = shape(as_message(message))
        assert one.results <= called
        called |= one.calls
        answers |= one.results
    assert called == answers
    kinds = [as_message(message).get("type") for message in result]
    for kind, after in zip(kinds, [*kinds[1:], None], strict=True):
        assert kind != "reasoning" or after in ("message", "function_call")


def viewed(messages: list[Any]) -> bool:
    return any(stretches(text_of(as_message(message))) for message in messages)


def checked(wire: str, given_: list[Any], result: list[Any], tokens: int) -> None:
    counter = Bound() if wire == "messages" else Exact()
    plain = [as_message(message) for message in result]
    assert sum(size(one, counter) for one in plain) <= tokens
    unbroken(result)
    last = [message for message in given_ if shape(as_message(message)).says][-1]
    if wire != "messages":
        assert any(message is last for message in result)
        assert result[0] is given_[0], "the system stays where it is"
        kept = [message for message in result if any(message is one for one in given_)]
        assert len(result) - len(kept) <= 1, "one message is the view's"
    else:
        words = text_of(as_message(last)).split("</memory>\n")[-1]
        assert any(text_of(one).split("</memory>\n")[-1] == words for one in plain)
        roles = [one["role"] for one in plain]
        assert roles[0] == "user"
        assert all(one != two for one, two in pairwise(roles))


@settings(max_examples=100, deadline=None, phases=UNSHRUNK)
@given(conversations(), st.integers(700, 2_000), st.booleans())
async def test_a_list_of_any_sdk_fits_unbroken_with_what_was_said_last(
    conversation: tuple[str, list[list[Any]]], tokens: int, steady: bool
) -> None:
    wire, added = conversation
    memory = Noting()
    it, whole, before, cuts = budgeted(memory, tokens, wire=wire, steady=steady), [], [], -1
    for grown in added[1:]:
        whole = [*(whole or added[0]), *grown]
        result = await it.fit(whole)
        checked(wire, whole, result, tokens)
        told = [text_of(one) for one in memory.told]
        assert all(text_of(m) in told for m in map(as_message, whole) if shape(m).side != "system")
        if memory.flushed == cuts:
            stable = (
                len(before) if steady else max(n for n, one in enumerate(before) if shape(as_message(one)).says)
            )
            stable -= 0 if steady or wire == "messages" or not viewed(before) else 1
            assert result[:stable] == before[:stable], "while nothing is cut, the list only grows at its end"
        before, cuts = result, memory.flushed


@settings(max_examples=80, deadline=None, phases=UNSHRUNK)
@given(conversations(), st.integers(700, 2_000), st.booleans())
async def test_a_list_that_was_given_back_and_grew_is_taken_again(
    conversation: tuple[str, list[list[Any]]], tokens: int, steady: bool
) -> None:
    wire, added = conversation
    it = budgeted(Noting(), tokens, wire=wire, steady=steady)
    kept: list[Any] = []
    for grown in added[1:]:
        given_ = [*(kept or added[0]), *grown]
        kept = await it.fit(given_)
        checked(wire, given_, kept, tokens)
        texts = [text_of(as_message(message)) for message in kept]
        assert sum(len(stretches(text)) for text in texts) <= 1, "there is one view, however often it is cut"


async def test_a_list_that_fits_a_memory_that_knows_nothing_is_given_back_as_it_is() -> None:
    messages = [
        *system("chat", "Be brief."),
        *said("chat", "Hello"),
        *answered("chat", "Hello"),
        *said("chat", "So?"),
    ]
    assert await budgeted(Noting(), 1_000).fit(messages) == messages


async def test_what_is_known_from_before_a_conversation_stands_before_what_is_said() -> None:
    memory = Noting()
    await memory.remember([{"role": "user", "content": "I live in Lisbon."}])
    it = budgeted(memory, 1_000)
    messages = [*system("chat", "Be brief."), *said("chat", "Where do I live?")]
    first = await it.fit(messages)
    assert [message["role"] for message in first] == ["system", "user", "user"]
    assert stretches(first[1]["content"])
    assert first[2] is messages[1]
    acting = [*messages, *stepped("chat", ["a"], "found")]
    assert (await it.fit(acting))[:3] == first
    assert len(memory.views) == 1, "one for each thing that is said, however many steps follow from it"
    longer = [*acting, *answered("chat", "In Lisbon."), *said("chat", "And now?")]
    second = await it.fit(longer)
    assert second[:2] == longer[:2]
    assert stretches(second[-2]["content"])
    assert memory.views[-1][0] == "And now?"


async def test_a_steady_view_is_written_once_for_many_turns() -> None:
    memory = Noting()
    it = budgeted(memory, 2_000, steady=True)
    whole: list[Any] = []
    for turn in range(80):
        whole += [*said("chat", f"question {turn} " + "word " * 20), *answered("chat", "answer " * 20)]
        await it.fit(whole)
    total = sum(size(as_message(message), Exact()) for message in whole)
    assert len(memory.views) <= 2 + 2 * total / (2_000 * 0.4)
    assert memory.flushed >= 2, "what is unread is read before it is left out"


async def test_no_list_is_cut_at_each_turn() -> None:
    memory = Noting()
    it = budgeted(memory, 2_000)
    whole: list[Any] = []
    for turn in range(80):
        whole += [*said("chat", f"question {turn} " + "word " * 20), *answered("chat", "answer " * 20)]
        await it.fit(whole)
    assert 2 <= memory.flushed <= 20


async def test_a_message_that_is_too_long_alone_is_one_clear_error() -> None:
    with pytest.raises(PromptTooLong, match=r"said last holds [\d,]+ tokens.*budget of 400 tokens") as caught:
        await budgeted(Noting(), 400).fit(said("chat", "word " * 5_000))
    assert caught.value.tokens > caught.value.limit == 400
    assert "\n" not in str(caught.value)


async def test_a_step_that_is_too_long_alone_is_told_beside_what_was_said() -> None:
    messages = [*said("chat", "Look."), *stepped("chat", ["a", "b", "c"], "found " * 150)]
    with pytest.raises(PromptTooLong, match=r"the last step \d+"):
        await budgeted(Noting(), 400).fit(messages)


@pytest.mark.parametrize("given_back", [False, True])
@pytest.mark.parametrize("wire", WIRES)
async def test_a_result_that_would_fill_the_list_is_cut_and_the_rest_is_found_in_the_memory(
    wire: str, given_back: bool, tmp_path: Path
) -> None:
    from swarm.memory.memory import open_memory

    log = "".join(f"line {n}: nothing happened here at all\n" for n in range(2_000))
    log = log.replace("line 1500: nothing", "line 1500: the pump exploded because nothing")
    async with open_memory("anna", store=tmp_path / "memory.db") as memory:
        it = Budgeted(memory, 2_000, wire=wire)  # type: ignore[arg-type]
        first = [*said(wire, "Look at the log."), *stepped(wire, ["a"], log)]
        sent = await it.fit(first)
        unbroken(sent)
        counter = Bound() if wire == "messages" else Exact()
        assert sum(size(as_message(message), counter) for message in sent) <= 2_000
        assert "more" not in str(sent)
        assert "is in the memory, as t" in str(sent)
        again = [*(sent if given_back else first), *answered(wire, "Done."), *said(wire, "What exploded?")]
        sent = await it.fit(again)
        assert "the pump exploded" in str(sent), "the view quotes what was cut"
        texts = [message.text for message in memory.messages()]
        assert len(texts) == len(set(texts)), "nothing is remembered twice"
        assert sum(len(text) > 10_000 for text in texts) == 1
        assert not any("is in the memory, as t" in text for text in texts)
        if given_back:
            await memory.forget(next(message.id for message in memory.messages() if len(message.text) > 10_000))
            await it.fit([*sent, *answered(wire, "The pump."), *said(wire, "Thanks.")])
            assert "nothing happened" not in str(list(memory.messages())), "what was forgotten is not learnt anew"


async def test_a_result_without_its_call_is_never_kept_when_a_list_is_cut() -> None:
    messages = [
        {"role": "tool", "tool_call_id": "gone", "content": "what was it"},
        *(
            m
            for n in range(40)
            for m in [*said("chat", f"q{n} " + "word " * 20), *answered("chat", "answer " * 20)]
        ),
        *said("chat", "Now?"),
    ]
    unbroken(await budgeted(Noting(), 500).fit(messages))


async def test_a_result_that_comes_after_others_spoke_stays_with_its_call() -> None:
    shapes = [
        shape(m)
        for m in (
            {"type": "function_call", "call_id": "a", "name": "n", "arguments": "{}"},
            {"role": "user", "content": "Still there?"},
            {"type": "function_call_output", "call_id": "a", "output": "yes"},
            {"role": "user", "content": "Fine."},
        )
    ]
    assert [unit.places for unit in units(shapes)] == [[0, 1, 2], [3]]


async def test_objects_of_the_sdks_are_taken_as_they_come() -> None:
    from anthropic.types import TextBlock, ToolUseBlock
    from openai.types.chat import ChatCompletionMessage
    from openai.types.responses import ResponseFunctionToolCall

    reply = ChatCompletionMessage.model_validate(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        }
    )
    chat = [*said("chat", "Look."), reply, {"role": "tool", "tool_call_id": "a", "content": "found"}]
    assert (await budgeted(Noting(), 1_000).fit(chat))[1] is reply
    call = ResponseFunctionToolCall(type="function_call", call_id="a", name="look", arguments="{}")
    output = {"type": "function_call_output", "call_id": "a", "output": "found"}
    assert (await budgeted(Noting(), 1_000).fit([*said("responses", "Look."), call, output]))[1] is call
    blocks = [TextBlock(type="text", text="I look."), ToolUseBlock(type="tool_use", id="a", name="look", input={})]
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "found"}]}
    taken = [*said("messages", "Look."), {"role": "assistant", "content": blocks}, result]
    assert await budgeted(Noting(), 1_000).fit(taken) == taken


@pytest.mark.parametrize("wire", WIRES)
def test_whose_list_it_is_is_told_from_what_only_they_have(wire: str) -> None:
    messages = [*said(wire, "Look."), *stepped(wire, ["a"], "found")]
    assert wire_of(messages, [as_message(message) for message in messages], system=False) == wire


async def test_another_conversation_begins_anew() -> None:
    memory = Noting()
    it = budgeted(memory, 600)
    for start in ("one", "two"):
        whole: list[Any] = []
        for turn in range(20):
            whole += [*said("chat", f"{start} {turn} " + "word " * 30), *answered("chat", "answer " * 30)]
            result = await it.fit(whole)
            assert any(start in str(message["content"]) for message in result)
        other = "two" if start == "one" else "one"
        assert not any(str(message["content"]).startswith(other) for message in result)


async def test_the_system_beside_the_list_counts() -> None:
    whole = [
        m for n in range(20) for m in [*said("messages", "word " * 20), *answered("messages", "answer " * 20)]
    ]
    messages = [*whole, *said("messages", "Now?")]
    told = "rule " * 300
    result = await budgeted(Noting(), 1_000).fit(messages, system=told)
    assert sum(size(as_message(message), Bound()) for message in result) + o200k(told) <= 1_000


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [([object()], "object"), ([{"content": "no role"}], "neither a role nor a type"), ([3], "no message")],
)
async def test_what_is_no_message_is_one_line(messages: list[Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        await budgeted(Noting(), 1_000).fit(messages)


@pytest.mark.parametrize(("tokens", "more"), [(10, {}), (1_000, {"low": 0}), (1_000, {"low": 2_000})])
def test_a_budget_that_makes_no_sense_is_refused(tokens: int, more: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="budget"):
        budgeted(Noting(), tokens, **more)


def test_a_picture_does_not_count_by_its_characters() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    assert size({"role": "user", "content": [picture]}, Exact()) < 3_000


# With a real memory, and a client that is not ours


def long_talk(wire: str) -> list[list[Any]]:
    turns = []
    for n in range(60):
        text = "I adopted a dog called Rex." if n == 2 else f"Turn {n}: we spoke of " + "the garden and " * 12
        turns.append([*said(wire, text), *answered(wire, f"Reply {n}: " + "certainly, " * 10)])
    return turns


@pytest.mark.parametrize("given_back", [False, True])
@pytest.mark.parametrize("wire", WIRES)
async def test_every_message_is_remembered_once_and_no_view_is(
    wire: str, given_back: bool, tmp_path: Path
) -> None:
    from swarm.memory.memory import open_memory

    async with open_memory("anna", store=tmp_path / "memory.db") as memory:
        it = Budgeted(memory, 1_500, wire=wire)  # type: ignore[arg-type]
        whole: list[Any] = []
        spoken: list[str] = []
        for question, *reply in long_talk(wire):
            spoken += [text_of(as_message(message)) for message in (question, *reply)]
            fitted = await it.fit([*whole, question])
            whole = [*(fitted if given_back else [*whole, question]), *reply]
        question = said(wire, "What is my dog called?")
        fitted = await it.fit([*whole, *question])
        remembered = [message.text for message in memory.messages()]
        assert remembered == [text for text in spoken if text] + ["What is my dog called?"]
        assert "<memory" not in "".join(remembered)


async def test_what_left_the_list_comes_back_in_the_view(tmp_path: Path) -> None:
    from swarm.memory.memory import open_memory

    async with open_memory("anna", store=tmp_path / "memory.db") as memory:
        whole = [message for turn in long_talk("chat") for message in turn]
        fitted = await Budgeted(memory, 2_000).fit([*whole, *said("chat", "What is my dog called?")])
        shown = [message for message in fitted if stretches(str(message["content"]))]
        assert len(shown) == 1
        assert "I adopted a dog called Rex." in shown[0]["content"]
        assert not any("Rex" in str(message["content"]) for message in fitted if message is not shown[0])


@pytest.mark.parametrize("sdk", ["openai", "responses", "anthropic"])
async def test_a_client_of_the_sdk_goes_on_for_ever_in_a_small_window(sdk: str, tmp_path: Path) -> None:
    """The provider refuses what is past its window; no request is."""
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

    from swarm.memory.memory import open_memory
    from swarm.testing.provider import Provider

    wire = {"openai": "chat", "anthropic": "messages"}.get(sdk, sdk)
    with Provider(window=4_000) as provider:
        async with (
            open_memory("anna", store=tmp_path / "memory.db") as memory,
            AsyncOpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as openai,
            AsyncAnthropic(base_url=provider.url, api_key="none", max_retries=0) as anthropic,
        ):
            it = Budgeted(memory, 3_000)
            messages: list[Any] = []
            for turn in long_talk(wire)[:40]:
                messages.append(turn[0])
                sent = await it.fit(messages, system="Be brief." if sdk == "anthropic" else None)
                if sdk == "openai":
                    done = await openai.chat.completions.create(model="any", messages=sent)
                    messages.append(done.choices[0].message)
                elif sdk == "responses":
                    answer = await openai.responses.create(model="any", input=sent)
                    messages += answer.output
                else:
                    reply = await anthropic.messages.create(
                        model="any", system="Be brief.", messages=sent, max_tokens=500
                    )
                    messages.append({"role": "assistant", "content": reply.content})
                messages[-1:] = [*answered(wire, "A long reply. " * 12)[-1:]]
        assert len(provider.requests) == 40
