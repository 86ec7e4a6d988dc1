"""Slices are claimed by one at a time, and nothing is written under a lease that is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from swarm.errors import StaleLease
from swarm.store.claims import Claims, Lease
from swarm.store.journal import LOST, Call, Journal, Outcome, Record
from swarm.task import Usage
from swarm.testing.conformance.given import call_key, entry, intent, reply

LONG = 3_600.0
"""Seconds: longer than any test."""
OVER = 0.0
"""Seconds of a lease that is over at once, and that may yet be renewed."""
_PATIENT = 60.0
"""Seconds, for what takes a fraction of one."""
_WORST = Usage(calls=1, input_tokens=10, cost_usd=0.5)


@dataclass(frozen=True)
class Shared:
    """What is shared by those who work one store."""

    journal: Journal
    claims: Claims


Sharing = Callable[[], AbstractContextManager[Shared]]


async def claimed(
    shared: Shared, ref: str = "a", run: str = "run", holder: str = "worker", seconds: float = LONG
) -> Lease:
    """A slice that was just offered, or was before, and is claimed now."""
    await shared.claims.offer(run, {ref: ref.encode()})
    lease = await shared.claims.claim(run, ref, holder, seconds)
    assert lease is not None
    return lease


async def is_refused(*writes: Awaitable[object]) -> bool:
    """Whether each of these is refused, because a lease is over."""
    came = await asyncio.gather(*writes, return_exceptions=True)
    for one in came:
        if isinstance(one, BaseException) and not isinstance(one, StaleLease):
            raise one
    return all(isinstance(one, StaleLease) for one in came)


class ClaimingConformance:
    """Who has a slice: offered, claimed by one at a time, handed in, withdrawn. `sharing` opens a store, as
    `opened` opens a journal."""

    async def test_a_slice_is_claimed_with_what_it_was_offered_with(self, sharing: Sharing) -> None:
        with sharing() as shared:
            await shared.claims.offer("run", {"a": b"\0one", "b": b""})
            await shared.claims.offer("run", {})
            lease = await shared.claims.claim("run", "a", "worker", LONG)
            assert lease is not None
            assert (lease.run, lease.ref, lease.body) == ("run", "a", b"\0one")
            for run, ref in (("run", "c"), ("other", "b"), ("run", "a")):
                assert await shared.claims.claim(run, ref, "another", LONG) is None
            offered, taken = sorted(shared.claims.standings("run"), key=lambda one: one.state != "offered")
            assert (offered.ref, offered.epoch, offered.holder, offered.left) == ("b", 0, "", 0.0)
            assert (taken.ref, taken.state, taken.epoch, taken.holder) == ("a", "claimed", lease.epoch, "worker")
            assert LONG / 2 < taken.left <= LONG
            assert 0.0 <= taken.since < LONG / 2
            assert shared.claims.runs() == ["run"]
            assert shared.claims.standings("other") == shared.claims.standings("nobody") == []

    async def test_what_is_offered_again_stays_as_it_is(self, sharing: Sharing) -> None:
        with sharing() as shared:
            await shared.claims.offer("run", {"a": b"first"})
            await shared.claims.offer("run", {"a": b"second", "b": b"second"})
            lease = await shared.claims.claim("run", "a", "worker", LONG)
            assert lease is not None
            assert lease.body == b"first"
            await shared.claims.offer("run", {"a": b"third"})
            assert await shared.claims.claim("run", "a", "another", LONG) is None
            await shared.claims.hand_in(lease, b"done")
            await shared.claims.offer("run", {"a": b"fourth"})
            assert await shared.claims.claim("run", "a", "another", LONG) is None

    async def test_of_many_who_claim_at_once_one_has_the_slice(self, sharing: Sharing) -> None:
        with sharing() as shared, ThreadPoolExecutor(4) as pool:
            refs = [str(number) for number in range(8)]
            await shared.claims.offer("run", dict.fromkeys(refs, b""))
            ready = threading.Barrier(4)

            async def take(holder: str) -> list[Lease]:
                several = [shared.claims.claim("run", ref, holder, LONG) for ref in [*refs, *refs]]
                return [lease for lease in await asyncio.gather(*several) if lease is not None]

            def work(number: int) -> list[Lease]:
                ready.wait()
                return asyncio.run(take(f"worker {number}"))

            got = await asyncio.gather(*[asyncio.wrap_future(pool.submit(work, number)) for number in range(4)])
            leases = [lease for some in got for lease in some]
            assert sorted(lease.ref for lease in leases) == refs
            assert len({lease.epoch for lease in leases}) == len(refs)
            holders = {one.ref: one.holder for one in shared.claims.standings("run")}
            for number, some in enumerate(got):
                assert all(holders[lease.ref] == f"worker {number}" for lease in some)

    async def test_a_lease_that_is_over_is_replaced_by_one_of_a_higher_epoch(self, sharing: Sharing) -> None:
        with sharing() as shared:
            first = await claimed(shared, seconds=OVER)
            second = await claimed(shared, holder="another")
            assert second.epoch > first.epoch
            assert shared.claims.renew([first, second], LONG) == {second.epoch}
            assert await is_refused(shared.claims.hand_in(first, b"late"))
            await shared.claims.let_go(first)  # says nothing of what is another's
            assert await shared.claims.claim("run", "a", "third", LONG) is None
            (standing,) = shared.claims.standings("run")
            assert (standing.holder, standing.epoch) == ("another", second.epoch)

    async def test_epochs_are_never_had_again_not_by_another_run_and_not_after_a_withdrawal(
        self, sharing: Sharing
    ) -> None:
        epochs = []
        with sharing() as shared:
            for run in ("run", "other", "run"):
                epochs.append((await claimed(shared, run=run)).epoch)
                await shared.claims.withdraw(run, ["a", "never offered"])
        with sharing() as shared:
            lease = await claimed(shared)
            await shared.claims.let_go(lease)
            epochs += [lease.epoch, (await claimed(shared)).epoch]
        assert epochs == sorted(set(epochs))

    async def test_a_lease_lasts_longer_when_it_is_renewed_also_when_it_was_over(self, sharing: Sharing) -> None:
        with sharing() as shared:
            several = [await claimed(shared, ref, seconds=OVER) for ref in "abc"]
            assert [one.left <= 0.0 for one in shared.claims.standings("run")] == [True, True, True]
            await shared.claims.withdraw("run", ["c"])
            assert shared.claims.renew(several, LONG) == {lease.epoch for lease in several[:2]}
            assert all(one.left > LONG / 2 for one in shared.claims.standings("run"))
            assert await shared.claims.claim("run", "a", "another", LONG) is None
            assert shared.claims.renew([], LONG) == set()

    async def test_who_lets_go_of_a_slice_leaves_it_to_whoever_claims_it_next(self, sharing: Sharing) -> None:
        with sharing() as shared:
            lease = await claimed(shared)
            await shared.claims.let_go(lease)
            await shared.claims.let_go(lease)
            (standing,) = shared.claims.standings("run")
            assert (standing.state, standing.epoch, standing.left) == ("offered", 0, 0.0)
            assert shared.claims.renew([lease], LONG) == set()
            assert await is_refused(shared.claims.hand_in(lease, b""))
            assert (await claimed(shared)).body == b"a"

    async def test_what_was_handed_in_is_told_until_it_is_withdrawn(self, sharing: Sharing) -> None:
        with sharing() as shared:
            several = [await claimed(shared, ref) for ref in "cab"]
            await claimed(shared, "d")
            for lease in reversed(several):
                await shared.claims.hand_in(lease, lease.ref.encode() + b"\0")
            handed = shared.claims.handed("run")
            assert [(one.ref, one.body, one.outcome) for one in handed] == [
                ("c", b"c", b"c\0"), ("a", b"a", b"a\0"), ("b", b"b", b"b\0"),
            ]  # fmt: skip
            assert [one.epoch for one in handed] == [lease.epoch for lease in several]
            assert shared.claims.handed("run", [handed[0].epoch, handed[2].epoch]) == [handed[1]]
            assert shared.claims.handed("other") == []
            assert shared.claims.renew(several, LONG) == set()
            assert await shared.claims.claim("run", "a", "another", LONG) is None
            await shared.claims.withdraw("run", ["a", "b"])
        with sharing() as shared:
            assert shared.claims.handed("run") == handed[:1]

    async def test_handing_in_twice_changes_nothing(self, sharing: Sharing) -> None:
        with sharing() as shared:
            lease = await claimed(shared)
            await asyncio.gather(shared.claims.hand_in(lease, b"one"), shared.claims.hand_in(lease, b"one"))
            await shared.claims.hand_in(lease, b"two")
            assert [one.outcome for one in shared.claims.handed("run")] == [b"one"]
            await shared.claims.let_go(lease)
            assert [one.outcome for one in shared.claims.handed("run")] == [b"one"]

    async def test_who_watches_is_told_when_something_is_handed_in(self, sharing: Sharing) -> None:
        with sharing() as shared, ThreadPoolExecutor(1) as pool:
            mine, other = await claimed(shared), await claimed(shared, run="other")

            def waited() -> bool:
                with shared.claims.watch("run") as watch:
                    while watch.wait(0.0):
                        pass  # it may be told of what was before
                    ready.set()
                    while not shared.claims.handed("run"):
                        if not watch.wait(_PATIENT):
                            return False
                    return True

            ready = threading.Event()
            waiting = pool.submit(waited)
            assert await asyncio.to_thread(ready.wait, _PATIENT)
            await shared.claims.hand_in(other, b"")
            await shared.claims.hand_in(mine, b"")
            assert await asyncio.wrap_future(waiting)

    async def test_forgetting_a_run_forgets_what_is_claimed_in_it(self, sharing: Sharing) -> None:
        with sharing() as shared:
            lease, other = await claimed(shared), await claimed(shared, run="other")
            await shared.journal.forget("run")
            assert await is_refused(shared.journal.under(lease).append("run", entry("a")))
            assert shared.claims.standings("run") == []
            assert (await claimed(shared)).epoch > lease.epoch
            await shared.journal.under(other).append("other", entry("a"))
            assert shared.claims.runs() == ["other", "run"]


class FencingConformance:
    """What is written under a lease, and what became of calls that were lost with one."""

    async def _refuses(self, shared: Shared, lease: Lease, number: int) -> bool:
        """Whether everything that can be written under a lease is refused; else nothing is."""
        journal = shared.journal.under(lease)
        came = [
            await is_refused(asyncio.to_thread(journal.append_sync, "run", entry(f"{number} in a thread"))),
            await is_refused(journal.append("run", entry(str(number)))),
            await is_refused(journal.begin_call(intent("run", number))),
        ]
        if came[-1]:  # else what was begun is under way
            await shared.journal.begin_call(intent("run", number))
        came += [
            await is_refused(journal.fail_call("run", call_key(number), "no", Usage(calls=1))),
            await is_refused(journal.finish_call("run", call_key(number), reply("x"))),
        ]
        assert len(set(came)) == 1
        return came[0]

    async def test_what_is_written_under_a_lease_that_lasts_is_there(self, sharing: Sharing) -> None:
        done = []
        with sharing() as shared:
            lease = await claimed(shared)
            assert not await self._refuses(shared, lease, 1)
            await shared.journal.under(lease).append("run", entry("b"), also=lambda _: done.append("also"))
            await shared.journal.append("run", entry("c"))
            assert set(shared.journal.keys("run", "report")) == {"1", "1 in a thread", "b", "c"}
            assert shared.journal.keys("run", "report")[-2:] == ["b", "c"]
            assert await shared.journal.under(lease).finished_call(call_key(1)) == reply("x")
            assert shared.journal.spent("run") == reply("x").usage + Usage(calls=1)
            assert [one.key for one in shared.journal.calls("run")] == [call_key(1)]
        assert done

    async def test_nothing_is_written_under_a_lease_that_another_has_replaced(self, sharing: Sharing) -> None:
        with sharing() as shared:
            first = await claimed(shared, seconds=OVER)
            second = await claimed(shared)
            assert await self._refuses(shared, first, 1)
            assert not await self._refuses(shared, second, 2)
            assert set(shared.journal.keys("run", "report")) == {"2", "2 in a thread"}

    async def test_nothing_is_written_under_a_lease_that_is_over_though_nobody_has_taken_it(
        self, sharing: Sharing
    ) -> None:
        with sharing() as shared:
            lease = await claimed(shared, seconds=OVER)
            assert await self._refuses(shared, lease, 1)
            assert await is_refused(shared.claims.hand_in(lease, b""))
            assert shared.claims.renew([lease], LONG) == {lease.epoch}
            assert not await self._refuses(shared, lease, 2)
            await shared.claims.hand_in(lease, b"")

    async def test_nothing_is_written_once_a_slice_is_handed_in_let_go_or_withdrawn(
        self, sharing: Sharing
    ) -> None:
        with sharing() as shared:
            handed, let_go, withdrawn = [await claimed(shared, ref) for ref in "abc"]
            await shared.claims.hand_in(handed, b"")
            await shared.claims.let_go(let_go)
            await shared.claims.withdraw("run", ["c"])
            for number, lease in enumerate((handed, let_go, withdrawn)):
                assert await self._refuses(shared, lease, number)
            assert await is_refused(shared.claims.hand_in(withdrawn, b""))
            assert shared.journal.keys("run", "report") == []

    async def test_a_lease_that_is_over_does_not_hold_up_what_is_written_with_it(self, sharing: Sharing) -> None:
        with sharing() as shared:
            over, lasting = await claimed(shared, "a", seconds=OVER), await claimed(shared, "b")
            came = await asyncio.gather(
                shared.journal.append("run", entry("a")),
                shared.journal.under(over).append("run", entry("b")),
                shared.journal.under(lasting).append("run", entry("c")),
                shared.journal.under(over).begin_call(intent("run", 1)),
                shared.journal.under(lasting).begin_call(intent("run", 2)),
                shared.journal.append("other", entry("d")),
                return_exceptions=True,
            )
            assert [type(one).__name__ for one in came] == [
                "NoneType", "StaleLease", "NoneType", "StaleLease", "Begun", "NoneType",
            ]  # fmt: skip
            assert shared.journal.keys("run", "report") == ["a", "c"]
            assert [one.key for one in shared.journal.calls("run")] == [call_key(2)]

    async def test_calls_that_were_lost_with_a_lease_are_settled_once_when_another_takes_its_place(
        self, sharing: Sharing
    ) -> None:
        with sharing() as shared:
            first = await claimed(shared, seconds=LONG)
            journal = shared.journal.under(first)
            for number in (1, 2, 3):
                await journal.begin_call(intent("run", number))
            await journal.finish_call("run", call_key(1), reply("one"))
            await journal.fail_call("run", call_key(2), "no", Usage(calls=1))
            before = shared.journal.spent("run")
            assert await shared.journal.settle_lost("run") == Usage()  # the lease lasts
            await shared.claims.let_go(first)
            assert shared.journal.spent("run") == before + _WORST
            assert shared.journal.failed_calls("run")[call_key(3)] == LOST
            second = await claimed(shared, seconds=OVER)
            shared.claims.renew([second], LONG)
            await shared.journal.under(second).begin_call(intent("run", 3))
            assert shared.claims.renew([second], OVER) == {second.epoch}
            assert await shared.journal.settle_lost("run") == Usage()  # it may be renewed
            await claimed(shared)
            assert shared.journal.spent("run") == before + _WORST + _WORST
            assert await shared.journal.settle_lost("run") == Usage()
            assert shared.journal.spent("run") == before + _WORST + _WORST

    async def test_calls_that_were_lost_with_a_lease_are_settled_once_when_the_slice_is_withdrawn(
        self, sharing: Sharing
    ) -> None:
        with sharing() as shared:
            handed, under_way, other = [await claimed(shared, ref) for ref in "abc"]
            for number, lease in enumerate((handed, under_way, other)):
                await shared.journal.under(lease).begin_call(intent("run", number))
            await shared.journal.begin_call(intent("run", 3))
            await shared.claims.hand_in(handed, b"")
            assert await shared.journal.settle_lost("run") == _WORST  # of whoever holds the run
            for _ in range(2):
                await shared.claims.withdraw("run", ["a", "b"])
            assert shared.journal.spent("run") == _WORST + _WORST + _WORST
            assert call_key(2) not in shared.journal.failed_calls("run")

    async def test_pages_miss_nothing_of_what_many_write_at_once(self, sharing: Sharing) -> None:
        writers, each = 6, 20

        async def write(journal: Journal, number: int) -> None:
            for n in range(each):
                call = intent("run", number * each + n)
                await journal.begin_call(call)
                await journal.append("run", entry(f"{number} {n}"))
                await journal.fail_call("run", call.key, "no", Usage())

        def follow(journal: Journal) -> tuple[int, int, int]:
            seen, last, over = [0, 0, 0], [0, 0, 0], False
            while True:
                pages: list[Sequence[Record | Call | Outcome]] = [
                    journal.since("run", last[0]),
                    journal.calls("run", last[1]),
                    journal.outcomes("run", last[2]),
                ]
                for table, page in enumerate(pages):
                    numbers = [one.seq for one in page]
                    assert numbers == sorted(numbers)
                    seen[table] += len(page)
                    last[table] = numbers[-1] if numbers else last[table]
                if over and not any(pages):
                    return (seen[0], seen[1], seen[2])
                over = ended.is_set()

        ended = threading.Event()
        with sharing() as shared, ThreadPoolExecutor(1) as pool:
            leases = [await claimed(shared, str(number)) for number in range(writers)]
            following = pool.submit(follow, shared.journal)
            try:
                await asyncio.gather(
                    *[write(shared.journal.under(lease), number) for number, lease in enumerate(leases)]
                )
            finally:
                ended.set()
            assert await asyncio.wrap_future(following) == (writers * each,) * 3
            written = [replace(one, body={}) for one in shared.journal.history("run")]
            assert shared.journal.since("run", 0) == written


class ClaimsConformance(ClaimingConformance, FencingConformance):
    """All of it: derive from this."""
