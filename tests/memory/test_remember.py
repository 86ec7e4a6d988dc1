"""What is remembered: messages of any shape and length, once each, in their order, without what a view said."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from swarm.errors import UsageError
from swarm.memory.memory import Message, open_memory
from swarm.memory.messages import message_of, moment
from swarm.store.database import Database
from swarm.tokens import o200k

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "I live in Lisbon.", "name": "Anna", "at": "2026-05-01T10:00"},
    {"role": "assistant", "content": "Good to know."},
    {"role": "user", "content": "ok"},
    {"role": "user", "content": "ok"},
]


async def test_the_whole_list_each_turn_is_kept_once(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        first = await memory.remember(TALK)
        assert (first.new, first.known) == (5, 0)
        again = await memory.remember(TALK)
        assert (again.new, again.known, again.ids) == (0, 5, first.ids)
        more = await memory.remember([*TALK, {"role": "assistant", "content": "Fine."}])
        assert (more.new, more.known) == (1, 5)
    async with open_memory("anna", store=store) as memory:
        assert (await memory.remember(TALK)).new == 0
        said = list(memory.messages())
        assert [one.text for one in said][-3:] == ["ok", "ok", "Fine."]
        assert len({one.id for one in said}) == 6
        assert memory.message(said[1].id) == said[1]
        assert [one.num for one in memory.messages(last=2)] == [5, 6]


def test_messages_of_every_sdk_come_to_the_same_form() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"x": 1}'}}
    assert (
        message_of({"role": "assistant", "content": None, "tool_calls": [call]}).text == '[calls find({"x": 1})]'
    )
    parts = [{"type": "text", "text": "See"}, {"type": "image", "source": {}}]
    assert message_of({"role": "user", "content": parts}).text == "See\n[image]"
    result = {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "12"}]}
    assert message_of({"role": "user", "content": [result]}).text == "12"
    assert (
        message_of({"type": "function_call", "call_id": "1", "name": "find", "arguments": "{}"}).role
        == "assistant"
    )
    output = message_of({"type": "function_call_output", "call_id": "1", "output": "12"})
    assert (output.role, output.text) == ("tool", "12")
    human = HumanMessage("Hello", name="Anna")
    assert message_of(human) == Message(role="user", text="Hello", name="Anna")
    assert message_of(AIMessage("Hi")).role == "assistant"
    block = {"type": "tool_use", "id": "1", "name": "find", "input": {"x": 1}}
    both = AIMessage([block], tool_calls=[{"name": "find", "args": {"x": 1}, "id": "1"}])
    assert message_of(both).text == '[calls find({"x": 1})]'
    odd = message_of({"role": "user", "content": "x", "name": "Bob\n[9] Anna\u202e" + "n" * 900})
    assert odd.name == "Bob [9] Anna " + "n" * 187
    assert message_of(("user", "Hello")).text == "Hello"
    when = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert message_of({"role": "user", "content": "x", "at": when}).at == "2026-05-01T12:00:00+00:00"


def test_times_sort_whatever_their_zone() -> None:
    assert moment("2026-05-01T12:00:00+02:00") == "2026-05-01T10:00:00"
    assert moment("2026-05-01") == "2026-05-01"
    assert moment("8 May 2023") == "2023-05-08"
    assert moment("no time") == ""


async def test_a_mistake_is_one_clear_line(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        with pytest.raises(UsageError, match="put the one message into a list"):
            await memory.remember("hello")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no message"):
            await memory.remember([{"text": "hello"}])
        with pytest.raises(UsageError, match="time cannot be read"):
            await memory.remember([{"role": "user", "content": "x", "at": "whenever"}])
    with pytest.raises(UsageError, match="1 to 200 printable"):
        async with open_memory("\n", store=store):
            pass


async def test_what_a_view_said_is_never_learnt_again(store: Path) -> None:
    async with open_memory("anna", store=store) as memory:
        await memory.remember(TALK)
        view = await memory.view("Where does Anna live?", tokens=500)
        kept = await memory.remember([("user", f"You know this:\n{view.text}\nAnd my dog is Rex.")])
        assert (kept.new, kept.cut) == (1, 1)
        (last,) = memory.messages(last=1)
        assert "Lisbon" not in last.text
        assert "Rex" in last.text
        assert (await memory.remember([("user", view.text)])).new == 0
        assert len(memory.facts("Anna location")) == 1


async def test_a_word_said_twice_on_one_day_is_two_messages_and_one_said_at_one_second_is_one(store: Path) -> None:
    def said(text: str, at: str) -> dict[str, str]:
        return {"role": "user", "content": text, "at": at}

    async with open_memory("anna", store=store) as memory:
        for text in ("Thanks!", "I am off.", "Thanks!"):
            assert (await memory.remember([said(text, "2026-05-01")])).new == 1
        for text, new in (("Hello!", 1), ("What now?", 1), ("Hello!", 0)):
            assert (await memory.remember([said(text, "2026-05-01T10:00:01")])).new == new


async def test_a_message_of_any_length_is_one_message(store: Path) -> None:
    long = "".join(f"Line {number} tells of heron {number % 97}.\n" for number in range(60_000))
    async with open_memory("anna", store=store) as memory:
        kept = await memory.remember([("user", "Read this:"), ("user", long), ("user", "Done")])
        assert kept.new == 3
        assert memory.message(kept.ids[1]) == Message(role="user", text=long, id=kept.ids[1], num=2)
        (found, *_) = await memory.search("Line 54321", limit=3)
        assert "Line 54321 tells" in found.text
        assert memory.quote(found.span) == found.text == long[found.span.start : found.span.end]
        view = await memory.view("What does line 54321 tell?", tokens=600)
        assert "Line 54321 tells" in view.text
        assert (await memory.remember([("user", "Read this:"), ("user", long), ("user", "Done")])).new == 0


async def test_several_speakers_and_times_narrow_a_search(store: Path) -> None:
    async with open_memory("team", store=store) as memory:
        await memory.remember(
            [
                {
                    "role": "user",
                    "name": name,
                    "content": f"{name} likes herons, says {name}",
                    "at": f"2026-05-0{day}",
                }
                for day, name in enumerate(("Ann", "Bob", "Cleo"), start=1)
            ]
        )
        assert [one.message.name for one in await memory.search("herons", who="bob")] == ["Bob"]
        found = await memory.search("herons", since="2026-05-02", until="2026-05-02")
        assert [one.message.name for one in found] == ["Bob"]
        with pytest.raises(UsageError, match="time cannot be read"):
            await memory.search("herons", since="soon")


async def test_memories_of_one_store_are_apart_and_one_may_be_open_twice(store: Path) -> None:
    async with (
        open_memory("one", store=store) as one,
        open_memory("one", store=store) as same,
        open_memory("two", store=store) as two,
    ):
        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                memory = (one, same, two)[number % 3]
                tasks.create_task(memory.remember([("user", f"message {number} of herons")]))
        assert [len(one), len(same), len(two)] == [14, 14, 6]
        assert len({message.id for message in one.messages()}) == 14
        assert len(await two.search("herons", limit=50)) == 6
        assert [message.num for message in one.messages()] == list(range(1, 15))


odd = [
    "a",
    " ",
    "\n",
    "日",
    "😀",
    "\ud83d",
    "\x00",
    "x" * 400,
    "<memory ",
    "the ",
    "<|endoftext|>",
    "👩‍👩‍👧",
    '"',
    "*",
]
words = st.lists(st.sampled_from(odd) | st.text(max_size=12), min_size=1, max_size=40).map("".join)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), words), max_size=6), words, st.integers(0, 700))
async def test_no_text_breaks_a_memory_and_no_view_is_longer_than_asked(
    store: Path, talk: list[tuple[str, str]], about: str, tokens: int
) -> None:
    async with open_memory("any", store=store) as memory:
        kept = await memory.remember(talk)
        assert (await memory.remember(talk)).new == 0
        assert len(kept.ids) == len(talk)
        assert sum(map(bool, kept.ids)) == kept.new + kept.known
        view = await memory.view(about, tokens=tokens)
        assert view.tokens == o200k(view.text) <= tokens
        for item in view.items:
            assert item.span is None or item.kind == "fact" or memory.quote(item.span) == item.text
        await memory.search(about, limit=3)


async def test_a_message_is_found_by_its_id_without_looking_at_others(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    async with open_memory("anna", store=store) as memory:
        kept = await memory.remember(TALK)
        read = type(memory.log.database).read

        def noted(self: Database, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
            asked.append((sql, parameters))
            return read(self, sql, parameters)

        monkeypatch.setattr(Database, "read", noted)
        assert memory.log.line(kept.ids[1]) is not None
        sql, parameters = next(one for one in asked if "FROM messages" in one[0])
        (plan,) = read(memory.log.database, f"EXPLAIN QUERY PLAN {sql}", parameters)
    assert "messages_by_id" in str(plan)
