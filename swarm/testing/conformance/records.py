"""Records are appended together, once and in order, and come back as they were."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from swarm.store.journal import Entry, Journal
from swarm.task import Usage
from swarm.testing.conformance.given import TEXTS, Opened, call_key, entry, intent, reply


class RecordsConformance:
    """Records: appended together, once, in order."""

    async def test_records_are_told_in_the_order_in_which_they_were_written(self, opened: Opened) -> None:
        with opened() as journal:
            for key in "cab":
                await journal.append("run", entry(key), entry(key, "plan"))
            await journal.append("other", entry("z"))
            assert [record.key for record in journal.records("run", "report")] == ["c", "a", "b"]
            assert journal.keys("run", "plan") == ["c", "a", "b"]
            told = [(record.kind, record.key) for record in journal.history("run")]
            assert told == [(kind, key) for key in "cab" for kind in ("report", "plan")]
            numbers = [record.seq for record in journal.history("run")]
            assert numbers == sorted(set(numbers))

    async def test_a_record_is_written_once_and_never_changed(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.append("run", Entry(kind="report", key="a", body={"n": 1}))
            before = journal.record("run", "report", "a")
            await journal.append("run", Entry(kind="report", key="a", body={"n": 2}), entry("b"))
            await journal.append("other", Entry(kind="report", key="a", body={"n": 3}))
            await journal.append("run", Entry(kind="plan", key="a", body={"n": 4}))
        with opened() as journal:
            assert journal.record("run", "report", "a") == before
            assert before is not None
            assert (before.run, before.kind, before.key, before.body) == ("run", "report", "a", {"n": 1})
            assert journal.keys("run", "report") == ["a", "b"]

    async def test_what_is_not_there_is_none_or_empty(self, opened: Opened) -> None:
        with opened() as journal:
            assert journal.record("run", "report", "a") is None
            assert journal.latest("run", "report") is None
            assert journal.keys("run", "report") == []
            assert list(journal.records("run", "report")) == list(journal.history("run")) == []
            assert journal.accounts() == []
            assert journal.spent("run") == Usage()
            assert journal.failed_calls("run") == {}
            assert await journal.settle_lost("run") == Usage()

    async def test_the_latest_is_the_last_of_its_kind_in_its_run(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.append("run", entry("b"), entry("a"))
            await journal.append("run", entry("z", "plan"))
            await journal.append("other", entry("c"))
            latest = journal.latest("run", "report")
            assert latest is not None
            assert latest.key == "a"

    async def test_a_body_may_be_json_that_was_serialised_before(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.append("run", Entry(kind="report", key="a", body='{"x": ["é", null, 0.5]}'.encode()))
            record = journal.record("run", "report", "a")
            assert record is not None
            assert record.body == {"x": ["é", None, 0.5]}

    async def test_text_of_any_kind_comes_back_as_it_was(self, opened: Opened) -> None:
        with opened() as journal:
            await journal.append("run", Entry(kind="texts", key="", body=TEXTS))
            for number, text in enumerate(TEXTS.values()):
                await journal.append("run", Entry(kind="named", key=text, body={}))
                await journal.begin_call(intent("run", number))
                await journal.fail_call("run", call_key(number), text, Usage())
            assert list(journal.failed_calls("run").values()) == list(TEXTS.values())
            for number, text in enumerate(TEXTS.values()):
                await journal.finish_call("run", call_key(number), reply(text, refusal=text))
        with opened() as journal:
            record = journal.record("run", "texts", "")
            assert record is not None
            assert record.body == TEXTS
            assert journal.keys("run", "named") == list(TEXTS.values())
            for number, text in enumerate(TEXTS.values()):
                assert journal.record("run", "named", text) is not None
                assert await journal.finished_call(call_key(number)) == reply(text, refusal=text)

    async def test_when_what_follows_from_records_fails_all_are_kept_or_none(self, opened: Opened) -> None:
        def also(_: object) -> None:
            raise LookupError("no")

        with opened() as journal:
            try:
                await journal.append("run", entry("a"), entry("b"), also=also)
            except LookupError:
                pass
            else:
                raise AssertionError("what `also` raised did not come through")
            await journal.append("run", entry("c"))
            assert journal.keys("run", "report") == (["a", "b", "c"] if journal.apart else ["c"])

    async def test_what_follows_from_records_is_done_when_they_are(self, opened: Opened) -> None:
        done = []
        with opened() as journal:
            await journal.append("run", entry("a"), also=lambda connection: done.append(connection))
            assert done

    async def test_a_thousand_at_once_are_all_there_in_the_order_of_their_acknowledgement(
        self, opened: Opened
    ) -> None:
        told: list[str] = []

        async def write(journal: Journal, key: str) -> None:
            await journal.append("run", entry(key))
            told.append(key)

        with opened() as journal:
            await asyncio.gather(*[write(journal, str(number)) for number in range(1_000)])
            assert journal.keys("run", "report") == told
            assert sorted(told, key=int) == [str(number) for number in range(1_000)]

    async def test_threads_write_and_read_as_the_loop_does(self, opened: Opened) -> None:
        def work(journal: Journal, number: int) -> int:
            journal.append_sync("run", entry(f"thread {number}"))
            assert journal.record("run", "report", f"thread {number}") is not None
            return len(list(journal.records("run", "report")))

        with opened() as journal, ThreadPoolExecutor(4) as pool:
            working = [pool.submit(work, journal, number) for number in range(40)]
            await asyncio.gather(*[journal.append("run", entry(f"loop {number}")) for number in range(40)])
            seen = [await asyncio.wrap_future(one) for one in working]
            assert all(1 <= number <= 80 for number in seen)
            assert len(set(journal.keys("run", "report"))) == 80

    async def test_a_long_run_is_read_while_it_is_written(self, opened: Opened) -> None:
        with opened() as journal:
            await asyncio.gather(*[journal.append("run", entry(f"{number:04}")) for number in range(600)])
            seen: list[str] = []
            for record in journal.records("run", "report"):
                if not seen:
                    await journal.append("run", entry("late"))
                assert journal.record("run", "report", record.key) is not None
                seen.append(record.key)
            assert seen[:600] == journal.keys("run", "report")[:600]
            assert len(set(seen)) == len(seen)

    async def test_records_that_are_erased_are_gone_and_what_comes_in_their_stead_is_there(
        self, opened: Opened
    ) -> None:
        done: list[str] = []
        with opened() as journal:
            await journal.append("run", entry("one"), entry("two"), entry("three"))
            await journal.append("other", entry("two"))
            names = [(entry("two").kind, "two"), (entry("two").kind, "never there")]
            again = Entry(kind=entry("two").kind, key="two", body={"said": "less"})
            await asyncio.to_thread(journal.erase, "run", [*names, (entry("three").kind, "three")], again)
            await asyncio.to_thread(journal.erase, "run", [], entry("four"), also=lambda _: done.append("also"))
        with opened() as journal:
            assert journal.keys("run", entry("one").kind) == ["one", "two", "four"]
            assert next(journal.records("other", entry("two").kind)).body == entry("two").body
            record = journal.record("run", entry("two").kind, "two")
            assert record is not None
            assert record.body == {"said": "less"}
        assert done

    async def test_large_records_are_kept(self, opened: Opened) -> None:
        large = "α" * 2_000_000
        with opened() as journal:
            entries = [Entry(kind="large", key=str(number), body={"text": large}) for number in range(6)]
            await asyncio.gather(*[journal.append("run", one) for one in entries])
            assert all(record.body == {"text": large} for record in journal.records("run", "large"))
            assert len(journal.keys("run", "large")) == journal.count("run", "large") == 6
            assert journal.count("run", "nothing") == journal.count("nobody", "large") == 0
