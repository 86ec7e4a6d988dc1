"""First to ahead by k: as good as theory says, with no reply that cannot matter, and the same when it goes on."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import random
from collections.abc import Awaitable, Callable, Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.errors import CallFailed, InvalidReply, LimitReached, NoAgreement, Rejected, Unavailable
from swarm.program import Vote
from swarm.worker.vote import FAILURES, Ballot, key_of_result, vote

MANY = 100_000


class Booth:
    """Gives the replies of a list, one for each number, and notes what was asked at once. A reply that is an
    exception is raised; one that begins with `!` is wrong in form."""

    def __init__(self, replies: Sequence[str | Exception], at: Callable[[int], int] = lambda attempt: 0) -> None:
        self._replies, self._turns = replies, at
        self.asked: list[int] = []
        self.at_once = self.most_at_once = 0

    async def ask(self, attempt: int) -> str:
        self.asked.append(attempt)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(1 + self._turns(attempt)):
                await asyncio.sleep(0)
            reply = self._replies[attempt]
            if isinstance(reply, Exception):
                raise reply
            return reply
        finally:
            self.at_once -= 1

    async def vote(self, lead: int, most: int = MANY) -> Ballot[str]:
        return await vote(Vote(lead=lead, most=most), self.ask, lambda reply: reply, form)


def form(reply: str) -> str | None:
    return "it begins with !" if reply.startswith("!") else None


def answer(ballot: Ballot[str]) -> tuple[str, int, int, int]:
    return ballot.reply, ballot.votes, ballot.discarded, ballot.asked


async def test_one_reply_decides_where_none_needs_to_lead() -> None:
    booth = Booth(["yes"])
    assert answer(await booth.vote(1)) == ("yes", 1, 0, 1)
    assert booth.asked == [0]


async def test_unanimous_replies_are_asked_all_at_once_and_no_more() -> None:
    booth = Booth(["a"] * 10)
    assert answer(await booth.vote(4)) == ("a", 4, 0, 4)
    assert booth.most_at_once == 4


async def test_after_a_dissent_only_what_is_missing_is_asked() -> None:
    booth = Booth(list("aabaaaaaa"))
    assert answer(await booth.vote(3)) == ("a", 5, 0, 5)
    assert booth.asked == [0, 1, 2, 3, 4]


async def test_what_is_wrong_in_form_is_asked_again_and_counts_for_nobody() -> None:
    booth = Booth(["a", "!", InvalidReply("not JSON"), "a", "!", "a"])
    assert answer(await booth.vote(3)) == ("a", 3, 3, 6)


async def test_a_check_may_take_its_time() -> None:
    async def slow(reply: str) -> str | None:
        await asyncio.sleep(0)
        return form(reply)

    ballot = await vote(Vote(lead=2), Booth(["!", "a", "a"]).ask, str, slow)
    assert answer(ballot) == ("a", 2, 1, 3)


async def test_the_reply_kept_is_the_first_of_those_that_won() -> None:
    ballot = await vote(Vote(lead=2), Booth(["B", "a", "A", "a "]).ask, key_of_result, form)
    assert ballot.reply == "a"


async def test_too_few_replies_for_a_decision_are_no_agreement_and_none_is_bought_in_vain() -> None:
    booth = Booth(["a", "b", "c", "!x", "b", "a", "a"])
    with pytest.raises(NoAgreement) as told:
        await booth.vote(3, most=7)
    assert booth.asked == [0, 1, 2, 3, 4, 5], "the last could not have decided"
    assert str(told.value) == (
        "no result leads by 3 and at most 7 replies may be asked for: votes stand 2 to 2 to 1, 1 thrown away, "
        "the last because it begins with !"
    )
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


async def test_replies_that_are_all_wrong_in_form_end_at_the_bound() -> None:
    booth = Booth(["!"] * 50)
    with pytest.raises(
        NoAgreement, match="no reply was right in form, 25 thrown away, the last because it begins"
    ):
        await booth.vote(1, most=25)
    assert len(booth.asked) == 25


async def test_a_call_that_fails_is_made_up_for_and_a_provider_that_is_down_is_not_asked_for_ever() -> None:
    down = Unavailable("overloaded")
    assert answer(await Booth([down, "a", down, "a", "a"]).vote(3)) == ("a", 3, 2, 5)
    booth = Booth([down] * 50)
    with pytest.raises(Unavailable, match="overloaded"):
        await booth.vote(1)
    assert len(booth.asked) == FAILURES


@pytest.mark.parametrize("error", [LimitReached("no more", limit="calls"), Rejected("bad key")])
async def test_an_end_ends_the_vote_once_those_on_their_way_came_back(error: Exception) -> None:
    booth = Booth([error, "a", "a"], at=lambda attempt: 5 * attempt)
    with pytest.raises(type(error)) as told:
        await booth.vote(3)
    assert told.value is error
    assert (booth.asked, booth.at_once) == ([0, 1, 2], 0)


async def test_a_defect_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await Booth(["a", ZeroDivisionError(), "a"]).vote(3)


async def test_cancelling_a_vote_cancels_what_it_asks() -> None:
    begun, ended = asyncio.Event(), []

    async def ask(attempt: int) -> str:
        try:
            if attempt == 2:
                begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(attempt)
        return ""

    task = asyncio.ensure_future(vote(Vote(lead=3), ask, str, form))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]


REPLIES = st.lists(st.sampled_from(["a", "a", "a", "b", "c", "!"]), min_size=40, max_size=40)


@settings(max_examples=150, deadline=None)
@given(REPLIES, st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing(replies: list[str], lead: int, chance: random.Random) -> None:
    late = [chance.randrange(6) for _ in replies]

    async def both() -> None:
        outcomes: list[object] = []
        for at in (lambda attempt: 0, late.__getitem__):
            booth = Booth(replies, at)
            try:
                outcomes.append((answer(await booth.vote(lead, most=len(replies))), booth.asked))
            except NoAgreement as error:
                outcomes.append((str(error), booth.asked))
        assert outcomes[0] == outcomes[1]

    asyncio.run(both())


@settings(max_examples=150, deadline=None)
@given(REPLIES, st.integers(1, 5))
def test_it_asks_exactly_as_many_as_counting_one_by_one_would(replies: list[str], lead: int) -> None:
    """Asked one after the other and stopped at the first moment of a decision, the same replies are used."""
    counts: dict[str, int] = {"": 0, " ": 0}
    used = 0
    while used < len(replies):
        reply = replies[used]
        used += 1
        if not reply.startswith("!"):
            counts[reply] = counts.get(reply, 0) + 1
        first, second = sorted(counts.values())[-1:-3:-1]
        if first - second >= lead:
            break
    else:
        return

    async def run() -> None:
        booth = Booth(replies)
        ballot = await booth.vote(lead)
        assert (ballot.asked, ballot.reply) == (used, max(counts, key=counts.__getitem__))
        assert ballot.asked == ballot.votes + ballot.discarded == len(booth.asked)

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(REPLIES, st.integers(2, 5), st.integers(0, 12))
def test_a_vote_that_goes_on_from_a_journal_decides_as_it_would_have(
    replies: list[str], lead: int, kept: int
) -> None:
    """A journal keeps the replies of some calls. When the run goes on, those are not asked for again."""
    journal: dict[int, str] = {}

    def through(booth: Booth, stop: int) -> Callable[[int], Awaitable[str]]:
        async def ask(attempt: int) -> str:
            if attempt not in journal:
                if len(journal) >= stop:
                    raise LimitReached("stopped here")
                journal[attempt] = await booth.ask(attempt)
            return journal[attempt]

        return ask

    async def run() -> None:
        policy = Vote(lead=lead, most=len(replies))
        try:
            whole = answer(await Booth(replies).vote(lead, policy.most))
        except NoAgreement:
            return
        first, second = Booth(replies), Booth(replies)
        try:
            await vote(policy, through(first, kept), str, form)
        except LimitReached:
            resumed = await vote(policy, through(second, MANY), str, form)
            assert answer(resumed) == whole
        assert not set(first.asked) & set(second.asked)

    asyncio.run(run())


def chance_of_error(error: float, lead: int) -> float:
    return 1 / (1 + ((1 - error) / error) ** lead)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.sampled_from([0.1, 0.2, 0.3, 0.4]), st.integers(1, 4), st.integers(0, 9))
def test_errors_and_calls_are_what_the_theory_says(error: float, lead: int, seed: int) -> None:
    """The gambler's ruin. Both bounds are five standard deviations: a right program fails once in a million."""
    chance, rounds = random.Random(seed), 1_500

    async def ask(attempt: int) -> str:
        return "wrong" if chance.random() < error else "right"

    async def run() -> list[Ballot[str]]:
        policy = Vote(lead=lead, most=MANY)
        return [await vote(policy, ask, lambda reply: reply, lambda reply: None) for _ in range(rounds)]

    ballots = asyncio.run(run())
    expected = chance_of_error(error, lead)
    seen = sum(ballot.reply == "wrong" for ballot in ballots) / rounds
    assert abs(seen - expected) <= 5 * math.sqrt(expected * (1 - expected) / rounds) + 1e-9
    calls = [ballot.asked for ballot in ballots]
    mean = sum(calls) / rounds
    spread = math.sqrt(sum((call - mean) ** 2 for call in calls) / (rounds - 1))
    assert abs(mean - lead / (1 - 2 * error) * (1 - 2 * expected)) <= 5 * spread / math.sqrt(rounds) + 1e-9


def test_the_lead_follows_from_the_steps_and_their_error() -> None:
    assert Vote.for_steps(1_048_575, 0.01, 0.05).lead == 4
    assert Vote.for_steps(1_000, 0.01).lead == 3
    assert Vote.for_steps(1_048_575, 0.1).lead == 8
    assert Vote.for_steps(10, 0.0).lead == 1
    with pytest.raises(ValueError, match=r"error is 0\.5"):
        Vote.for_steps(10, 0.5)


@given(st.integers(1, 10**7), st.floats(0.001, 0.45), st.floats(0.001, 0.5))
def test_the_lead_is_enough_and_one_less_is_not(steps: int, error: float, doubt: float) -> None:
    lead = Vote.for_steps(steps, error, doubt).lead
    whole = [math.exp(steps * math.log1p(-chance_of_error(error, at))) for at in (lead, lead - 1)]
    assert whole[0] >= 1 - doubt - 1e-9
    assert lead == 1 or whole[1] < 1 - doubt + 1e-9


SCHEMA: dict[str, object] = {}


def test_json_that_says_the_same_is_one_result() -> None:
    assert key_of_result('{"b": [1, 2], "a": null}', SCHEMA) == key_of_result(' {"a":null,\n"b":[1,2]}', SCHEMA)
    for same in (
        ["1", "1.0", "10e-1", "0.1E+1"],
        ["0", "-0", "0.0", "0e9"],
        ["0.1", "1e-1", "0.10"],
        ["-20", "-2e1"],
    ):
        assert len({key_of_result(text, SCHEMA) for text in same}) == 1, same


def test_json_that_differs_is_two_results_however_little() -> None:
    different = [
        ["0.1", "0.10000000000000001"],
        ["9007199254740993", "9007199254740992.0"],
        ["1e999", "1e998"],
        ["1e999999999999999999", "1e999999999999999998"],
        ["1", '"1"', "true"],
        ['"a"', '"A"', '"a "'],
        ["[1,2]", "[2,1]"],
    ]
    for texts in different:
        assert len({key_of_result(text, SCHEMA) for text in texts}) == len(texts), texts


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,6})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


@given(NUMBERS, NUMBERS)
def test_numbers_are_one_exactly_when_they_are_equal(one: str, other: str) -> None:
    assert (key_of_result(one, SCHEMA) == key_of_result(other, SCHEMA)) == (Fraction(one) == Fraction(other))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, st.integers(0, 3))
def test_json_is_one_exactly_when_it_is_equal(one: object, other: object, indent: int) -> None:
    first, again = key_of_result(json.dumps(one), SCHEMA), key_of_result(json.dumps(one, indent=indent), SCHEMA)
    assert first == again
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (first == key_of_result(json.dumps(other), SCHEMA)) == same


def test_text_is_compared_without_spacing_and_case() -> None:
    assert key_of_result("The  Answer\nis Paris.") == key_of_result("the answer is paris")
    assert key_of_result("section 1.10") != key_of_result("section 1.1")
    assert key_of_result("1.10") != key_of_result("1.1")
    assert key_of_result("x²") != key_of_result("x2")
    assert key_of_result('{"a": 1}') == key_of_result('{"a":1}')


@pytest.mark.parametrize("text", ["", ".", "{", "[NaN]", '{"a": 1, "a": 2}', "[" * 100_000, "1e" + "9" * 5_000])
def test_what_is_no_json_is_text(text: str) -> None:
    assert key_of_result(text, SCHEMA) == key_of_result(text)
    assert key_of_result(text, SCHEMA) == text.casefold()


def test_a_vote_passes_as_a_failed_call() -> None:
    assert issubclass(NoAgreement, CallFailed)
