"""Which stretches bear on a question: by words, what stands beside them, who speaks and when; in bounded work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swarm.memory.asked import Day, ask
from swarm.memory.lookup import Lookup
from swarm.memory.memory import open_memory
from swarm.memory.messages import Message
from swarm.memory.recall import MOST, Line, ranked
from swarm.terms import stem, terms

MAY, JUNE = "2023-05-08T13:00:00", "2023-06-09T10:00:00"


@dataclass
class Talk:
    """Lines of a conversation in memory: who, text, and when."""

    said: Sequence[tuple[str, str, str]]
    gone: frozenset[int] = frozenset()

    def bounds(self) -> tuple[int, int]:
        return 1, len(self.said)

    def holding(self, words: Iterable[str], most: int) -> Sequence[int]:
        wanted = {stem(word) for word in words}
        found = [
            num for num, (who, text, _) in enumerate(self.said, 1) if not wanted.isdisjoint(terms(f"{who} {text}"))
        ]
        return found[::-1][:most]

    def between(self, since: str, until: str, most: int) -> Sequence[int]:
        return [num for num, (_, _, at) in enumerate(self.said, 1) if since <= at[:10] <= until][-most:]

    def lines(self, nums: Sequence[int]) -> Mapping[int, Line]:
        return {num: self._line(*self.said[num - 1]) for num in nums if num not in self.gone and self._is_one(num)}

    def texts(self, nums: Sequence[int]) -> Mapping[int, str]:
        return {num: self.said[num - 1][1] for num in nums if self._is_one(num)}

    def _is_one(self, num: int) -> bool:
        return 1 <= num <= len(self.said)

    def _line(self, who: str, text: str, at: str) -> Line:
        role = who if who in ("user", "assistant") else "user"
        return Line(who=who, role=role, at=at, tokens=1 + len(text) // 4, asks="?" in text)


def best(talk: Talk, question: str, limit: int = 1) -> list[str]:
    return [talk.said[one.num - 1][1] for one in ranked(talk, question, limit)]


CHATTER = [("Anna", "Nice weather again over here, is it not so.", MAY), ("Ben", "It sure is very nice.", MAY)] * 8


def test_a_reply_that_repeats_no_word_of_the_question_is_found() -> None:
    asked = ("Ben", "Which breed is the puppy that you adopted?", MAY)
    talk = Talk([*CHATTER, asked, ("Anna", "A dachshund called Kiki.", MAY), *CHATTER])
    assert "A dachshund called Kiki." in best(talk, "What breed is the puppy?", 2)


def test_the_one_who_is_asked_about_comes_first() -> None:
    talk = Talk(
        [("Ben", "I bought a red bicycle in town.", MAY), ("Anna", "I bought a blue bicycle in town.", MAY)] * 2
    )
    assert best(talk, "Which bicycle did Anna buy?") == ["I bought a blue bicycle in town."]
    assert best(talk, "Which bicycle did Ben buy?") == ["I bought a red bicycle in town."]


def test_the_name_of_a_speaker_is_no_word_to_look_for() -> None:
    naming = [("Ben", "Anna, Anna, how is Anna today.", MAY)] * 3
    talk = Talk([*naming, ("Anna", "I painted the harbour.", MAY), *naming])
    assert best(talk, "What did Anna paint?") == ["I painted the harbour."]


def test_a_question_about_both_prefers_neither() -> None:
    said = [("Ben", "I went to the opera house.", MAY), ("Anna", "I went to the opera house.", MAY)]
    scores = {one.num: one.score for one in ranked(Talk(said), "Did Anna and Ben go to the opera?", 2)}
    assert scores[1] == pytest.approx(scores[2], abs=0.2)


def test_i_means_the_user_and_you_the_assistant() -> None:
    said = [("assistant", "Rye bread is what I recommend.", ""), ("user", "Rye bread is what I recommend.", "")]
    assert [one.num for one in ranked(Talk(said), "Which bread did I recommend?", 1)] == [2]
    assert [one.num for one in ranked(Talk(said), "Which bread did you recommend?", 1)] == [1]


def test_the_month_that_is_named_counts() -> None:
    talk = Talk([("Anna", "We had dinner at the Corner.", MAY), ("Anna", "We had dinner at the Harbour.", JUNE)])
    assert best(talk, "Where did we have dinner in June 2023?") == ["We had dinner at the Harbour."]
    assert best(talk, "Where did we have dinner in May?") == ["We had dinner at the Corner."]


def test_what_was_said_on_a_day_is_found_without_its_words() -> None:
    talk = Talk([*CHATTER, ("Anna", "Signed the lease at last!", "2023-07-03T09:00:00")])
    assert best(talk, "What happened on 1 July 2023?") == ["Signed the lease at last!"]


def test_another_sitting_is_not_around_it() -> None:
    near = ("Anna", "Lovely, all of it.", MAY)
    far = ("Anna", "Lovely, all of it.", JUNE)
    talk = Talk([("Ben", "The concert in Graz was loud.", MAY), near, far])
    scores = {one.num: one.score for one in ranked(talk, "How was the concert in Graz?", 3)}
    assert scores[2] > scores[3]


def test_what_is_gone_is_never_found() -> None:
    talk = Talk([("Anna", "My code is 4711.", MAY), ("Anna", "My car is green.", MAY)], gone=frozenset([1]))
    assert 1 not in [one.num for one in ranked(talk, "What is the code?", 5)]


def test_only_what_is_kept_is_given() -> None:
    talk = Talk([("Anna", "The train was late.", MAY), ("Ben", "The train was full.", MAY)])
    found = ranked(talk, "How was the train?", 5, lambda _, line: line.who == "Ben")
    assert [one.num for one in found] == [2]


@pytest.mark.parametrize(
    "question", ["", "?", "the of and", "zebra", '" OR who : "Anna', "NEAR(train, 2) *", "- ^ :"]
)
def test_any_question_is_answered_with_stretches_or_none(question: str) -> None:
    talk = Talk([("Anna", "The train was late.", MAY)])
    assert len(ranked(talk, question, 5)) <= 1
    assert ranked(Talk([]), question, 5) == []
    assert ranked(talk, "train", 0) == []


def test_equals_come_in_the_order_of_the_conversation() -> None:
    talk = Talk([("Anna", "The ferry to Kos.", "")] * 40)
    nums = [one.num for one in ranked(talk, "ferry", 40)]
    assert len(nums) == 40
    scores = {one.num: one.score for one in ranked(talk, "ferry", 40)}
    assert nums == sorted(nums, key=lambda num: (-scores[num], num))


@dataclass
class Endless:
    """A conversation of any length in which every word stands everywhere; it counts what it is asked for."""

    size: int
    looked: list[int] = field(default_factory=list)

    def bounds(self) -> tuple[int, int]:
        return 1, self.size

    def holding(self, words: Iterable[str], most: int) -> Sequence[int]:
        assert most <= MOST
        return range(self.size, max(0, self.size - most), -1)

    def between(self, since: str, until: str, most: int) -> Sequence[int]:
        return range(1, 1 + min(most, self.size))

    def lines(self, nums: Sequence[int]) -> Mapping[int, Line]:
        self.looked.append(len(nums))
        return {num: Line(who="Anna", role="user", at=MAY, tokens=20, asks=False) for num in nums}

    def texts(self, nums: Sequence[int]) -> Mapping[int, str]:
        self.looked.append(len(nums))
        return dict.fromkeys(nums, "words")


def test_the_work_does_not_grow_with_the_memory() -> None:
    looked = []
    for size in (20_000, 20_000_000):
        endless = Endless(size)
        assert len(ranked(endless, "What was said of ships and sails in May 2023?", 100)) == 100
        looked.append(endless.looked)
    assert looked[0] == looked[1]
    assert sum(looked[0]) < 3_000


@pytest.mark.parametrize(
    ("question", "days"),
    [
        ("on 3 May 2023", [Day(year=2023, month=5, day=3)]),
        ("on May 3rd, 2023", [Day(year=2023, month=5, day=3)]),
        ("in December 2022 and in January", [Day(year=2022, month=12), Day(month=1)]),
        ("since 2023-05-03", [Day(year=2023, month=5, day=3)]),
        ("in 2021", [Day(year=2021)]),
        ("on 31 February 2023", [Day(year=2023, month=2)]),
        ("may I march in?", []),
        ("0000-05-03", []),
        ("on 31 December 9999", [Day(month=12, day=31)]),
        ("room 2023b, 45678", []),
    ],
)
def test_days_in_a_question_are_read(question: str, days: list[Day]) -> None:
    assert list(ask(question).days) == days


def test_a_day_is_told_on_it_and_soon_after() -> None:
    day = Day(year=2023, month=5, day=30)
    assert day.told("2023-05-30T10:00:00") == 2.0
    assert day.told("2023-06-02") == 1.0
    assert day.told("2023-05-01") == 1.0
    assert day.told("2023-08-01") == 0.0
    assert day.told("") == 0.0
    assert Day(month=2, day=29).told("2023-02-28") == 2.0


async def test_in_a_real_memory_words_replies_speakers_and_times_count(tmp_path: Path) -> None:
    said = [
        *CHATTER,
        ("Ben", "Which breed is the puppy that you adopted?", MAY),
        ("Anna", "A dachshund called Kiki.", MAY),
        *CHATTER,
        ("Ben", "I met my aunt in Lisbon.", JUNE),
        ("Anna", "I met my aunt in Vienna.", JUNE),
    ]
    async with open_memory("talk", store=tmp_path / "memory.db") as memory:
        await memory.remember(Message(role="user", name=who, text=text, at=at) for who, text, at in said)
        lookup = Lookup(memory.log)

        def texts(question: str, limit: int) -> list[str]:
            return [one.text for one in memory.log.stretches(r.num for r in ranked(lookup, question, limit))]

        assert "A dachshund called Kiki." in texts("What breed is the puppy?", 2)
        assert texts("Where did Anna meet her aunt?", 1) == ["I met my aunt in Vienna."]
        assert texts("Where did Ben meet his aunt?", 1) == ["I met my aunt in Lisbon."]
        assert list(lookup.between("2023-06-01", "2023-06-30", 10)) == [35, 36]
        assert list(lookup.between("2024-06-01", "2024-06-30", 10)) == []
        assert texts('" OR text : "aunt', 1)


async def test_a_stretch_in_the_middle_of_a_long_message_is_found(tmp_path: Path) -> None:
    filler = "Nothing of interest happens in this sentence at all. " * 200
    text = f"{filler}The password of the boathouse is halibut. {filler}"
    async with open_memory("talk", store=tmp_path / "memory.db") as memory:
        await memory.remember([Message(role="user", text=text), Message(role="assistant", text="Noted.")])
        (found,) = ranked(Lookup(memory.log), "What is the password of the boathouse?", 1)
        (stretch,) = memory.log.stretches([found.num])
        assert "halibut" in stretch.text
        assert text[stretch.start : stretch.end] == stretch.text


def test_a_common_word_counts_in_old_stretches_that_a_rare_one_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        ("Anna", "The ferry to Naxos has a leak.", ""),
        *[("Ben", "Yes, yes.", "")] * 40,
        ("Anna", "The ferry to Naxos was painted.", ""),
        *[("Ben", "It was painted.", "")] * 200,
    ]
    monkeypatch.setattr("swarm.memory.recall.MOST", 50)
    assert ranked(Talk(said), "Which ferry to Naxos was painted?", 1)[0].num == 42


def test_of_a_question_of_any_length_its_beginning_and_its_end_count() -> None:
    words = " ".join(f"filler{number}" for number in range(200_000))
    asked = ask(f"Zanzibar {words} halibut?")
    assert {stem("Zanzibar"), stem("halibut")} <= asked.words.keys()
    assert len(asked.words) <= 32
