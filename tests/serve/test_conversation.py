"""Which conversation a list of turns goes on with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.serve.conversation import Conversation, chain, find
from swarm.serve.request import Part, Turn
from swarm.store.opening import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "s.db") as opened:
        yield opened


def turns(*said: str) -> list[Turn]:
    return [Turn.said("assistant" if at % 2 else "user", text) for at, text in enumerate(said)]


async def found(store: Store, *said: str, client: str = "anna") -> Conversation:
    return await find(store.journal, client, chain(client, turns(*said)))


async def test_a_list_that_grows_is_one_conversation(store: Store) -> None:
    first = await found(store, "a")
    assert (first.known, first.turns, first.branch_of) == (0, 1, "")
    second = await found(store, "a", "b", "c")
    assert second == Conversation(id=first.id, known=1, turns=3)
    assert await found(store, "a", "b", "c", "d", "e") == Conversation(id=first.id, known=3, turns=5)


async def test_the_same_list_again_is_known_whole(store: Store) -> None:
    first = await found(store, "a", "b", "c")
    assert await found(store, "a", "b", "c") == Conversation(id=first.id, known=3, turns=3)


async def test_a_list_that_goes_another_way_is_a_branch_that_keeps_what_was_before(store: Store) -> None:
    first = await found(store, "a", "b", "c")
    branch = await found(store, "a", "b", "x")
    assert branch.id != first.id
    assert (branch.known, branch.branch_of) == (2, first.id)
    assert (await found(store, "a", "b", "x", "d", "e")).id == branch.id
    assert (await found(store, "a", "b", "c", "d", "e")).id == first.id
    other = await found(store, "a", "b", "x", "d", "f")
    assert (other.known, other.branch_of) == (4, branch.id)


async def test_a_shorter_list_that_is_known_belongs_where_it_was_said_first(store: Store) -> None:
    first = await found(store, "a", "b", "c")
    await found(store, "a", "b", "x")
    assert (await found(store, "a")).id == first.id


async def test_two_clients_that_say_the_same_share_nothing(store: Store) -> None:
    anna = await found(store, "a", "b", "c")
    ben = await found(store, "a", "b", "c", client="ben")
    assert ben.known == 0
    assert ben.id != anna.id


async def test_two_at_once_agree(store: Store) -> None:
    both = await asyncio.gather(*(found(store, "a", "b", "c") for _ in range(8)))
    assert len({one.id for one in both}) == 1
    branches = await asyncio.gather(*(found(store, "a", "b", "c", "d", str(at)) for at in range(8)))
    assert len({one.id for one in branches}) == 8
    assert sum(one.id == both[0].id for one in branches) <= 1


async def test_it_is_known_after_a_restart(tmp_path: Path) -> None:
    with open_store(tmp_path / "s.db") as opened:
        first = await found(opened, "a", "b", "c")
    with open_store(tmp_path / "s.db") as opened:
        assert await found(opened, "a", "b", "c", "d", "e") == Conversation(id=first.id, known=3, turns=5)


def test_text_says_the_same_as_a_string_and_as_a_part() -> None:
    as_part = Turn(role="user", parts=(Part(text="a", raw={"type": "text", "text": "a"}),), raw={"role": "user"})
    assert chain("anna", [as_part]) == chain("anna", turns("a"))
    with_image = Turn(role="user", parts=(Part(text="a"), Part(text=None, raw={"type": "image"}, kind="other")))
    assert chain("anna", [with_image]) != chain("anna", turns("a"))


def test_where_one_text_ends_and_the_next_begins_counts() -> None:
    one = Turn(role="user", parts=(Part(text="ab"), Part(text="c")))
    other = Turn(role="user", parts=(Part(text="a"), Part(text="bc")))
    assert chain("anna", [one]) != chain("anna", [other])
    assert chain("anna", [Turn.said("user", "a\ud800")])


async def test_no_turns_are_no_conversation(store: Store) -> None:
    assert await found(store) == Conversation(id="", known=0, turns=0)


async def test_many_turns_are_looked_up_in_few_steps(store: Store) -> None:
    said = [str(at) for at in range(3_000)]
    first = await found(store, *said)
    assert (await found(store, *said, "more")).known == 3_000
    assert (await found(store, *said, "more")).id == first.id


async def test_turns_are_recorded_some_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm.serve.conversation._TOGETHER", 2)
    said = [str(at) for at in range(9)]
    first = await found(store, *said)
    assert (await found(store, *said)).known == 9
    branch = await found(store, *said[:5], "otherwise", "and on")
    assert (branch.known, branch.branch_of) == (5, first.id)
