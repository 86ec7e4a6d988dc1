"""A run is followed while it goes on: what is new is told, in order, and nothing twice."""

from __future__ import annotations

from dataclasses import replace

from swarm.store.journal import Entry
from swarm.task import Usage
from swarm.testing.conformance.given import TEXTS, Opened, call_key, entry, intent, reply


class FollowedConformance:
    """What whoever follows a run is told: records, calls and outcomes after the last that it knows."""

    async def test_records_are_told_from_where_one_left_off_with_the_bodies_that_one_asks_for(
        self, opened: Opened
    ) -> None:
        with opened() as journal:
            await journal.append("run", entry("a"), entry("a", "plan"))
            await journal.append("other", entry("b"))
            await journal.append("run", *(Entry(kind="named", key=text, body=TEXTS) for text in TEXTS.values()))
            first = journal.since("run", 0, bodies={"report"}, limit=2)
            assert [(one.kind, one.key, one.body) for one in first] == [
                ("report", "a", {"key": "a"}), ("plan", "a", {}),
            ]  # fmt: skip
            assert first[0] == journal.record("run", "report", "a")
            then = journal.since("run", first[-1].seq, bodies=["named"])
            assert [one.key for one in then] == list(TEXTS.values())
            assert then[0].body == TEXTS
            assert journal.since("run", then[-1].seq) == journal.since("nobody", 0) == []

    async def test_calls_tell_who_asked_and_what_they_had_to_fit(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.begin_call(replace(intent("run", 1), asker="slice \0é", window=32_768, begun=12.5))
            await journal.begin_call(intent("other", 1))
            await journal.begin_call(intent("run", 2, tokens=7, cost_usd=0.25))
            await journal.begin_call(intent("run", 2, tokens=9, cost_usd=0.5))
            one, two = journal.calls("run")
            assert (one.key, one.asker, one.window, one.begun) == (call_key(1), "slice \0é", 32_768, 12.5)
            assert (one.model, one.kind, one.tokens, one.cost_usd, one.tries) == ("model", "read", 10, 0.5, 1)
            assert (two.asker, two.window, two.tokens, two.cost_usd, two.tries) == ("", 0, 9, 0.5, 2)
            assert two.begun > 1_000_000_000
            assert journal.calls("run", one.seq) == [two]
            assert journal.calls("run", limit=1) == [one]
            assert journal.tried_again("run", [one.seq, two.seq, 999]) == [two]
            assert journal.tried_again("other", [two.seq]) == journal.tried_again("run", []) == []
            assert journal.calls("run", two.seq) == journal.calls("nobody") == []

    async def test_outcomes_tell_what_became_of_each_try(self, opened: Opened) -> None:
        with opened() as journal:
            for number in (1, 2, 3):
                await journal.begin_call(replace(intent("run", number), begun=10.0 * number))
            await journal.begin_call(intent("other", 1))
            await journal.fail_call("run", call_key(2), "cut off: é", Usage(calls=1, input_tokens=4, cost_usd=0.5))
            await journal.begin_call(replace(intent("run", 2), begun=25.0))
            await journal.finish_call("other", call_key(1), reply("elsewhere"))
            await journal.finish_call("run", call_key(2), reply("a"))
            await journal.finish_call("run", call_key(1), reply("", refusal="no"))
            calls = {call.seq: call.key for call in journal.calls("run")}
            failed, answered, refused = journal.outcomes("run")
            assert [calls[one.call] for one in (failed, answered, refused)] == [
                call_key(2), call_key(2), call_key(1),
            ]  # fmt: skip
            assert (failed.failure, answered.failure, refused.failure) == ("cut off: é", None, None)
            assert (failed.refused, answered.refused, refused.refused) == (False, False, True)
            assert failed.usage == Usage(calls=1, input_tokens=4, cost_usd=0.5)
            assert answered.usage == reply("").usage
            assert failed.at > 1_000_000_000
            assert (failed.begun, answered.begun, refused.begun) == (20.0, 25.0, 10.0)
            await journal.settle_lost("run")
            assert [one.begun for one in journal.outcomes("run", refused.seq)] == [30.0]
            assert journal.outcomes("run", failed.seq, limit=1) == [answered]
            assert journal.outcomes("nobody") == []

    async def test_a_call_that_is_begun_late_tells_when_it_was_sent(self, opened: Opened) -> None:
        with opened() as journal:
            if not journal.begins_late:
                return
            late = replace(intent("run", 1), begun=99.0, asker="plan")
            await journal.finish_call("run", call_key(1), reply("a"), late)
            (call,) = journal.calls("run")
            assert (call.begun, call.asker) == (99.0, "plan")
            assert journal.outcomes("run")[0].at > call.begun
