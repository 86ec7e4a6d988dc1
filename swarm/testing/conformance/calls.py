"""Calls are begun before they are sent, finished once, paid once, and never forgotten for another's sake."""

from __future__ import annotations

import asyncio

from swarm.store.journal import LOST, Begun
from swarm.task import Usage
from swarm.testing.conformance.given import Opened, call_key, entry, intent, reply


class CallsConformance:
    """Calls: begun, finished once, paid once."""

    async def test_a_call_in_flight_has_no_reply_and_a_finished_one_keeps_its_first(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.begin_call(intent("run", 1))
            assert await journal.finished_call(call_key(1)) is None
            await journal.finish_call("run", call_key(1), reply("one"))
            await journal.finish_call("run", call_key(1), reply("two"))
            assert (await journal.begin_call(intent("other", 1))).state == "done"
        with opened() as journal:
            assert await journal.finished_call(call_key(1)) == reply("one")
            assert await journal.finished_call(call_key(2)) is None

    async def test_who_begins_a_call_is_told_what_is_known_of_it(self, opened: Opened) -> None:
        with opened() as journal:
            assert await journal.begin_call(intent("run", 1)) == Begun(state="new")
            assert await journal.begin_call(intent("run", 1)) == Begun(state="unknown")
            assert await journal.begin_call(intent("other", 1)) == Begun(state="new")
            await journal.fail_call("run", call_key(1), "no", Usage(calls=1))
            assert await journal.begin_call(intent("run", 1)) == Begun(state="new")
            await journal.begin_call(intent("run", 2))
            await journal.settle_lost("run")
            assert await journal.begin_call(intent("run", 2)) == Begun(state="new")
            at_once = await asyncio.gather(*[journal.begin_call(intent("run", n)) for n in (3, 4, 3, 2)])
            assert [one.state for one in at_once] == ["new", "new", "unknown", "unknown"]

    async def test_a_call_to_which_there_is_a_reply_is_not_begun_by_any_run(self, opened: Opened) -> None:
        with opened() as journal:
            for run in ("run", "other"):
                await journal.begin_call(intent(run, 1))
            for run, said in (("other", "two"), ("run", "one")):
                await journal.finish_call(run, call_key(1), reply(said, refusal="no"))
            done = Begun(state="done", reply=reply("two", refusal="no"))
            at_once = [journal.begin_call(intent(run, n)) for run, n in (("run", 1), ("third", 1), ("third", 2))]
            assert await asyncio.gather(*at_once) == [done, done, Begun(state="new")]
            assert await journal.settle_lost("run") == Usage()
            assert [one.key for one in journal.calls("third")] == [call_key(2)]
            assert [one.tries for one in journal.calls("run")] == [1]

    async def test_a_call_may_be_begun_with_its_reply(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.finish_call("run", call_key(1), reply("one"), intent("run", 1))
            assert await journal.finished_call(call_key(1)) == reply("one")
            assert await journal.settle_lost("run") == Usage()
            await journal.finish_call("other", call_key(1), reply("two"), intent("other", 1))
            assert journal.spent("run").calls == journal.spent("other").calls == 1

    async def test_many_replies_are_looked_up_at_once(self, opened: Opened) -> None:
        with opened() as journal:
            for number in range(0, 100, 2):
                await journal.begin_call(intent("run", number))
                await journal.finish_call("run", call_key(number), reply(str(number)))
            found = await asyncio.gather(*[journal.finished_call(call_key(n)) for n in [*range(100), 4, 4]])
            assert [one.text if one is not None else None for one in found] == [
                None if number % 2 else str(number) for number in [*range(100), 4, 4]
            ]

    async def test_a_call_has_failed_until_it_has_a_reply_and_its_last_reason_is_told(
        self, opened: Opened
    ) -> None:
        with opened() as journal:
            for number in (1, 2, 3):
                await journal.begin_call(intent("run", number))
            for number, reason in [(1, "first"), (2, "early"), (1, "last")]:
                await journal.fail_call("run", call_key(number), reason, Usage(calls=1))
            assert journal.failed_calls("run") == {call_key(1): "last", call_key(2): "early"}
            await journal.finish_call("run", call_key(2), reply("at last"))
            assert journal.failed_calls("run") == {call_key(1): "last"}
            assert journal.failed_calls("other") == {}
            assert journal.spent("run") == Usage(calls=3) + reply("at last").usage

    async def test_a_call_that_was_lost_is_counted_at_its_worst_and_once(self, opened: Opened) -> None:
        with opened() as journal:
            for number in (1, 2, 3, 4):
                await journal.begin_call(intent("run", number, tokens=10 * number, cost_usd=0.25 * number))
            await journal.begin_call(intent("other", 5))
            await journal.finish_call("run", call_key(1), reply("one"))
            await journal.fail_call("run", call_key(2), "no", Usage(calls=1))
            before = journal.spent("run")
        with opened() as journal:
            lost = await journal.settle_lost("run")
            assert lost == Usage(calls=2, input_tokens=70, cost_usd=1.75)
            assert await journal.settle_lost("run") == Usage()
            assert journal.spent("run") == before + lost
            assert journal.failed_calls("run")[call_key(3)] == LOST
            assert journal.spent("other") == Usage()
            await journal.finish_call("run", call_key(3), reply("after all"))
            assert await journal.finished_call(call_key(3)) == reply("after all")

    async def test_a_call_that_is_lost_again_is_counted_again(self, opened: Opened) -> None:
        worst = Usage(calls=1, input_tokens=10, cost_usd=0.5)
        with opened() as journal:
            for _ in range(3):
                await journal.begin_call(intent("run", 1))
                assert await journal.settle_lost("run") == worst
            await journal.begin_call(intent("run", 1))
            await journal.fail_call("run", call_key(1), "cut off", worst)
            assert await journal.settle_lost("run") == Usage()
            await journal.begin_call(intent("run", 1, tokens=20))
            await journal.begin_call(intent("run", 1, tokens=30))  # the one before was refused and cost nothing
            assert await journal.settle_lost("run") == Usage(calls=1, input_tokens=30, cost_usd=0.5)
            assert journal.spent("run").calls == 5

    async def test_runs_that_ask_the_same_at_once_each_pay_and_the_first_reply_is_kept(
        self, opened: Opened
    ) -> None:
        with opened() as journal:
            for run in ("one", "two", "three", "four"):
                await journal.begin_call(intent(run, 1))
            await journal.finish_call("two", call_key(1), reply("from two"))
            await journal.finish_call("one", call_key(1), reply("from one", cost_usd=0.5))
            await journal.fail_call("three", call_key(1), "no", Usage(calls=1))
            assert await journal.finished_call(call_key(1)) == reply("from two")
            assert journal.spent("one") == reply("", cost_usd=0.5).usage
            assert journal.spent("two") == reply("").usage
            assert journal.failed_calls("three") == {}  # it has a reply by now
            assert await journal.settle_lost("four") == Usage(calls=1, input_tokens=10, cost_usd=0.5)
            await journal.forget("two")
            assert await journal.finished_call(call_key(1)) == reply("from one", cost_usd=0.5)

    async def test_the_outcome_of_a_call_that_was_not_begun_is_not_lost_in_silence(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.begin_call(intent("other", 1))
            for outcome in (
                journal.finish_call("run", call_key(1), reply("x")),
                journal.fail_call("run", call_key(2), "no", Usage()),
            ):
                try:
                    await outcome
                except LookupError as error:
                    assert "run run did not begin the call" in str(error)  # noqa: PT017
                else:
                    raise AssertionError("nothing was raised")
            assert await journal.finished_call(call_key(1)) is None

    async def test_what_a_run_spent_is_the_sum_of_what_it_paid_for(self, opened: Opened) -> None:
        with opened() as journal:
            for number, run in [(1, "run"), (2, "run"), (3, "other"), (4, "run"), (4, "other")]:
                await journal.begin_call(intent(run, number))
            for number, run in [(1, "run"), (2, "run"), (3, "other"), (4, "other")]:
                await journal.finish_call(run, call_key(number), reply("", cost_usd=0.5))
            assert journal.spent("run") == Usage(
                calls=2, input_tokens=6, output_tokens=4, cached_tokens=2, cost_usd=1.0
            )
            assert journal.spent("other") == journal.spent("run")

    async def test_accounts_tell_of_every_run_oldest_first(self, opened: Opened) -> None:
        with opened() as journal:
            for run in ("one", "two", "three"):
                await journal.append(run, entry("a"))
            await journal.append("one", entry("b"))
            await journal.begin_call(intent("two", 1))
            await journal.finish_call("two", call_key(1), reply("x"))
            accounts = journal.accounts()
            assert [account.run for account in accounts] == ["one", "two", "three"]
            assert [account.usage for account in accounts] == [Usage(), reply("x").usage, Usage()]
            for account in accounts:
                times = [record.at for record in journal.history(account.run)]
                assert (account.begun, account.last) == (times[0], times[-1])

    async def test_forgetting_deletes_one_run_and_nothing_that_another_paid_for(self, opened: Opened) -> None:
        with opened() as journal:
            for run in ("gone", "kept"):
                await journal.append(run, entry("a"))
            for number, first, paid in [(1, "gone", "gone"), (2, "kept", "kept"), (3, "gone", "kept")]:
                await journal.begin_call(intent(first, number))
                await journal.fail_call(first, call_key(number), "once", Usage(calls=1))
                await journal.begin_call(intent(paid, number))
                await journal.finish_call(paid, call_key(number), reply(str(number)))
            await journal.begin_call(intent("gone", 4))
            before = journal.spent("kept")
            await journal.forget("gone")
            await journal.forget("never there")
        with opened() as journal:
            assert list(journal.history("gone")) == []
            assert journal.spent("gone") == await journal.settle_lost("gone") == Usage()
            assert [account.run for account in journal.accounts()] == ["kept"]
            assert journal.spent("kept") == before
            found = [await journal.finished_call(call_key(number)) for number in (1, 2, 3, 4)]
            assert found == [None, reply("2"), reply("3"), None]
            await journal.append("gone", entry("again"))
            await journal.begin_call(intent("gone", 1))
            assert await journal.settle_lost("gone") == Usage(calls=1, input_tokens=10, cost_usd=0.5)
