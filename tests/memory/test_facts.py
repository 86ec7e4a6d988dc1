"""Facts: taken from what people say, the latest shown, every version kept, with dates and what they rest on."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.memory.extract import drawn
from swarm.memory.memory import Fact, Message, open_memory

CITIES = [f"{one}{other}" for one in ("Ber", "Lis", "Por", "Mad", "Osl", "Par", "Rom") for other in (
    "lin", "bon", "to", "rid", "ova", "ville", "burg", "stad")]  # fmt: skip


def told(text: str, name: str | None = "Anna", at: str | None = "2023-05-08") -> list[tuple[str, str, str, str]]:
    message = Message(role="user", text=text, name=name, at=at)
    return [(one.subject, one.attribute, one.value, one.at) for one in drawn(message)]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("I live in Lisbon.", ("Anna", "location", "Lisbon", "")),
        ("Hi! I moved to Porto last month because of work.", ("Anna", "location", "Porto", "2023-04")),
        ("I have relocated to New York City, and I love it", ("Anna", "location", "New York City", "")),
        ("I've been living in Madrid since 2019", ("Anna", "location", "Madrid", "")),
        ("Bob moved to Berlin two weeks ago", ("Bob", "location", "Berlin", "2023-04-24")),
        ("I just turned 35!", ("Anna", "age", "35", "")),
        ("I'm 34 years old.", ("Anna", "age", "34", "")),
        ("I got married in May 2021", ("Anna", "marital status", "married", "2021-05")),
        ("I work at Acme Corp as a nurse", ("Anna", "employer", "Acme Corp", "")),
        ("I joined Globex yesterday", ("Anna", "employer", "Globex", "2023-05-07")),
        ("I work as a data analyst for Acme", ("Anna", "job", "data analyst", "")),
        ("I'm a software engineer", ("Anna", "job", "software engineer", "")),
        ("My favourite colour is green, not blue.", ("Anna", "favourite color", "green", "")),
        ("my favorite color is now red", ("Anna", "favourite color", "red", "")),
        ("My email is anna@example.com.", ("Anna", "email", "anna@example.com", "")),
        ("My phone number is +351 912 345 678", ("Anna", "phone", "+351 912 345 678", "")),
        ("My sister's name is Clara", ("Anna's sister", "name", "Clara", "")),
        ("Bob's birthday is 3 May 1990", ("Bob", "birthday", "3 May 1990", "")),
        ("The capital of France is Paris.", ("France", "capital", "Paris", "")),
        ("The deadline is Friday", ("The deadline", "is", "Friday", "")),
    ],
)
def test_what_people_say_of_themselves_and_others_is_a_fact(text: str, fact: tuple[str, ...]) -> None:
    assert told(text) == [fact]


@pytest.mark.parametrize(
    "text",
    [
        "Where do I live?", "If I live in Rome I'd be happy", "I no longer live in Porto", "I want to live there.",
        "My dog is so cute", "The weather is so nice", "I never moved to Rome", "Maybe I work at Acme",
    ],
)  # fmt: skip
def test_questions_wishes_and_conditions_are_no_facts(text: str) -> None:
    assert told(text) == []


def test_only_people_tell_facts() -> None:
    assert not list(drawn(Message(role="assistant", text="I live in Lisbon.")))
    assert not list(drawn(Message(role="tool", text="My name is Rex.")))
    assert told("I live in Lisbon.", name=None)[0][0] == "user"


@pytest.mark.parametrize("changes", [1, 2, 5, 20, 50])
@pytest.mark.parametrize("order", ["as told", "shuffled"])
async def test_a_fact_that_changed_often_shows_the_latest_and_keeps_all(
    store: Path, changes: int, order: str
) -> None:
    first = date(2020, 1, 1)
    moves = [((first + timedelta(days=30 * number)).isoformat(), CITIES[number]) for number in range(changes)]
    forms = ("I live in {}.", "I moved to {}.", "I'm based in {} now.", "Anna relocated to {}.")
    told = [
        {"role": "user", "name": "Anna", "content": forms[number % 4].format(city), "at": at}
        for number, (at, city) in enumerate(moves)
    ]
    if order == "shuffled":
        random.Random(changes).shuffle(told)
    async with open_memory("anna", store=store) as memory:
        for message in told:
            await memory.remember([message])
        (now,) = memory.facts("Where does Anna live? location")
        assert (now.value, now.at) == (moves[-1][1], moves[-1][0])
        view = await memory.view("Anna location: where does she live", tokens=800, recent=0)
        shown = [item.text for item in view.items if item.kind == "fact"]
        assert shown == [f"Anna lives in {moves[-1][1]}"]
        versions = memory.history(now)
        assert [(one.at, one.value) for one in versions] == moves
        assert [one.now for one in versions] == [False] * (changes - 1) + [True]
        assert memory.history("anna", "residence") == versions
        for one in versions:
            assert one.span is not None
            assert one.value is not None
            assert one.value in memory.quote(one.span)


async def test_without_dates_the_order_of_telling_counts(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        await memory.remember([("user", "I live in Rome."), ("user", "I moved to Oslo.")])
        assert [fact.value for fact in memory.facts()] == ["Oslo"]
        await memory.remember([("user", "I live in Oslo.")])
        (now,) = memory.facts()
        assert [one.value for one in memory.history(now)] == ["Rome", "Oslo"]


async def test_a_fact_by_hand_takes_the_place_of_what_was_said_and_is_replaced_by_what_is_said_later(
    store: Path,
) -> None:
    async with open_memory("a", store=store) as memory:
        kept = await memory.remember(
            [{"role": "user", "content": "I live in Rome.", "name": "Anna", "at": "2024-01-01"}]
        )
        added = await memory.add_fact(
            "Anna lives in Oslo",
            subject="Anna",
            attribute="city",
            value="Oslo",
            time="2024-03-01",
            source=kept.ids[0],
        )
        assert memory.fact(added.id) == added
        assert (added.origin, added.message) == ("hand", kept.ids[0])
        assert [fact.value for fact in memory.facts()] == ["Oslo"]
        await memory.remember([{"role": "user", "content": "I live in Bonn.", "name": "Anna", "at": "2024-04-01"}])
        assert [fact.value for fact in memory.facts()] == ["Bonn"]
        undated = await memory.add_fact("Anna lives in Ulm", subject="Anna", attribute="location", value="Ulm")
        assert [fact.value for fact in memory.facts()] == ["Ulm"]
        assert [fact.value for fact in memory.history(undated)] == ["Rome", "Oslo", "Bonn", "Ulm"]
        with pytest.raises(UsageError, match="holds no message"):
            await memory.add_fact("x", source="nothing")
        with pytest.raises(UsageError, match="time cannot be read"):
            await memory.add_fact("x", time="whenever")


async def test_a_retired_fact_is_history_with_its_reason_and_nothing_older_comes_back(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        await memory.remember([("user", "I live in Rome."), ("user", "I moved to Oslo.")])
        (now,) = memory.facts()
        gone = await memory.retire(now.id, "she left")
        assert (gone.state, gone.reason, gone.now) == ("retired", "she left", False)
        assert memory.facts() == []
        assert [(one.value, one.reason) for one in memory.history(now)] == [("Rome", ""), ("Oslo", "she left")]
        assert (await memory.retire(now.id, "again")).reason == "she left"
        await memory.remember([("user", "I live in Bern.")])
        assert [fact.value for fact in memory.facts()] == ["Bern"]
        with pytest.raises(UsageError, match="holds no fact"):
            await memory.retire("knothing", "why")


async def test_a_sentence_alone_has_no_versions(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        fact = await memory.add_fact("Anna adopted a cat in spring.")
        assert memory.history(fact) == [fact]
        assert [one.text for one in memory.facts("cat")] == [fact.text]
        assert isinstance(fact, Fact)


async def test_a_message_that_says_what_changed_since_is_shown_with_what_holds_now(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        kept = await memory.remember(
            [
                {"role": "user", "name": "Anna", "content": "I live in Rome. I like it.", "at": "2024-01-01"},
                {"role": "user", "name": "Anna", "content": "I moved to Oslo.", "at": "2024-02-01"},
            ]
        )
        view = await memory.view("Where does Anna live?", tokens=500)
        assert "I live in Rome. I like it.\n(since then: Anna lives in Oslo)" in view.text
        assert "I moved to Oslo.\n(since" not in view.text
        (item,) = [item for item in view.items if item.message == kept.ids[0] and item.kind == "message"]
        assert item.text == "I live in Rome. I like it."
        await memory.retire(memory.facts()[0].id, "it was\n[1] a joke")
        view = await memory.view("Where does Anna live?", tokens=500)
        assert "I live in Rome. I like it.\n(no longer so)" in view.text
        assert "I moved to Oslo.\n(no longer so: it was [1] a joke)" in view.text


async def test_what_an_episode_tells_that_holds_no_longer_is_shown_with_what_does(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        talk = [("user", f"I live in Rome, by the river, heron {number}.") for number in range(30)]
        await memory.remember([*talk, *(("user", f"weather {number}") for number in range(60))])
        assert (await memory.dream(most=1)).episodes == 1
        about = "Who lives in Rome by the river with a heron?"
        (item,) = [one for one in (await memory.view(about, recent=0)).items if one.kind == "episode"]
        assert "Rome" in item.text
        await memory.remember([("user", "I moved to Oslo.")])
        text = (await memory.view(about, recent=0)).text
        assert (
            "\n(since then: user lives in Oslo)"
            in text.partition("Earlier, in short:")[2].partition("Messages:")[0]
        )


async def test_what_somebody_says_of_another_is_shown_with_who_says_it(store: Path) -> None:
    async with open_memory("team", store=store) as memory:
        await memory.remember(
            [
                {"role": "user", "name": "Bob", "content": "My room is B12.", "at": "2024-01-01"},
                {"role": "user", "name": "Mallory", "content": "Bob's room is A1.", "at": "2024-01-02"},
            ]
        )
        text = (await memory.view("Which room has Bob?", recent=0)).text
        assert "[1] Bob's room is A1 (says Mallory, 2024-01-02)" in text
        assert "Bob: My room is B12.\n(since then: Bob's room is A1)" in text
        assert [(one.value, one.who) for one in memory.history("Bob", "room")] == [
            ("B12", "Bob"),
            ("A1", "Mallory"),
        ]


@pytest.mark.parametrize(
    "given", [{"value": "Rome"}, {"subject": "Anna", "value": "Rome"}, {"attribute": "city", "value": "Rome"},
              {"subject": "Anna", "attribute": "city"}],
)  # fmt: skip
async def test_a_value_without_its_slot_is_a_mistake_and_not_lost(store: Path, given: dict[str, str]) -> None:
    async with open_memory("anna", store=store) as memory:
        with pytest.raises(UsageError, match="give all three"):
            await memory.add_fact("Anna lives in Rome", **given)  # type: ignore[arg-type]
        assert memory.facts() == []
        assert (await memory.add_fact("She is polite", subject="Anna")).subject == "Anna"


async def test_a_date_told_in_a_list_without_times_does_not_beat_what_is_said_later(store: Path) -> None:
    async with open_memory("a", store=store) as memory:
        await memory.remember([{"role": "user", "name": "Anna", "content": "I moved to Berlin in March 2024."}])
        await memory.remember([{"role": "user", "name": "Anna", "content": "I have moved to Paris."}])
        assert [fact.value for fact in memory.facts()] == ["Paris"]
