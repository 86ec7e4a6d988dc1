"""What every store is held to that tells which machines work for it, ours and yours: a class of tests for pytest.

    class TestMyMachines(MachinesConformance):
        @pytest.fixture
        def machines(self, tmp_path):
            return lambda: contextlib.closing(MyMachines(tmp_path / "store"))

        @pytest.fixture
        def silent(self, tmp_path):
            return lambda id_, seconds: ...

`machines` opens those of one and the same store again and again, also several at a time, each as a context
manager. `silent` makes the store believe that a machine has said nothing for so many seconds more. The suite knows
the protocol and no store.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace

from swarm.store.machines import GONE_SECONDS, LOST_SECONDS, SILENT_SECONDS, Doing, Machine, Machines, Seen
from swarm.testing.conformance.given import TEXTS

OpenMachines = Callable[[], AbstractContextManager[Machines]]
Silent = Callable[[str, float], None]


def machine(id_: str, host: str = "host", *, note: str = "", doing: tuple[Doing, ...] = ()) -> Machine:
    return Machine(
        id=id_, host=host, pid=42, version="1.2.3", places=8, started=1_790_000_000.25, doing=doing, done=7,
        memory=1 << 33, note=note,
    )  # fmt: skip


def as_told(seen: Seen, told: Machine) -> bool:
    """Whether others see a machine as it tells of itself."""
    return all(getattr(seen, name) == getattr(told, name) for name in told.__dataclass_fields__)


class MachinesConformance:
    """All of it: derive from this."""

    def test_others_see_what_a_machine_tells_last(self, machines: OpenMachines) -> None:
        first = machine(
            "m1", doing=(Doing(run="run", ref="s1", seconds=1.5), Doing(run="other", ref="s2", seconds=0))
        )
        then = replace(first, doing=(Doing(run="run", ref="s3", seconds=0.25),), done=9, draining=True)
        with machines() as mine, machines() as theirs:
            assert theirs.seen() == []
            assert mine.beat(first) is False
            (seen,) = theirs.seen()
            assert as_told(seen, first)
            assert 0 <= seen.ago < SILENT_SECONDS
            assert seen.life == "alive"
            mine.beat(then)
            (seen,) = theirs.seen()
            assert as_told(seen, then)

    def test_whatever_a_note_quotes_is_kept(self, machines: OpenMachines) -> None:
        with machines() as mine:
            for name, text in TEXTS.items():
                mine.beat(machine(name, note=text))
            assert {one.id: one.note for one in mine.seen()} == TEXTS

    def test_the_oldest_comes_first_and_who_leaves_is_gone(self, machines: OpenMachines) -> None:
        with machines() as mine:
            for id_ in ("b", "c", "a"):
                mine.beat(machine(id_))
            mine.beat(machine("c"))
            assert [one.id for one in mine.seen()] == ["b", "c", "a"]
            mine.leave("c")
            mine.leave("c")
            mine.leave("nobody")
        with machines() as again:
            assert [one.id for one in again.seen()] == ["b", "a"]

    def test_who_is_silent_is_told_by_its_age_until_it_is_gone(
        self, machines: OpenMachines, silent: Silent
    ) -> None:
        with machines() as mine:
            for id_ in ("m1", "m2", "m3"):
                mine.beat(machine(id_))
            silent("m1", SILENT_SECONDS + 1)
            silent("m2", LOST_SECONDS + 1)
            silent("m3", GONE_SECONDS + 1)
            seen = {one.id: one for one in mine.seen()}
            assert {id_: one.life for id_, one in seen.items()} == {"m1": "silent", "m2": "lost"}
            assert SILENT_SECONDS < seen["m1"].ago < SILENT_SECONDS + 1 + SILENT_SECONDS
            assert mine.drain(["m3"]) == []
            mine.beat(machine("m2"))
            assert {one.id: one.life for one in mine.seen()} == {"m1": "silent", "m2": "alive"}
            mine.leave("m1")
            mine.beat(machine("m3"))
            assert [one.id for one in mine.seen()] == ["m2", "m3"]

    def test_who_is_asked_to_drain_hears_of_it_until_it_leaves(self, machines: OpenMachines) -> None:
        one, two, three = machine("m1", "left"), machine("m2", "left"), machine("m3", "right")
        with machines() as mine, machines() as theirs:
            for each in (one, two, three):
                mine.beat(each)
            assert theirs.drain(["nobody"]) == []
            assert theirs.drain(["m1", "m1", "nobody"]) == ["m1"]
            assert [seen.draining for seen in theirs.seen()] == [True, False, False]
            assert [mine.beat(each) for each in (one, two, three)] == [True, False, False]
            assert mine.beat(one) is True
            assert [seen.draining for seen in theirs.seen()] == [True, False, False], "asked, and not said yet"
            assert theirs.drain(["left"]) == ["m1", "m2"]
            assert theirs.drain([]) == ["m1", "m2", "m3"]
            assert [mine.beat(each) for each in (one, two, three)] == [True, True, True]
            mine.leave("m1")
            assert mine.beat(one) is False, "it begins anew"
            mine.beat(replace(two, draining=True))
            assert [seen.draining for seen in theirs.seen()] == [True, True, False]

    def test_many_threads_may_tell_at_once(self, machines: OpenMachines) -> None:
        ids = [f"m{number}" for number in range(4)]
        with machines() as mine, ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda number: mine.beat(machine(ids[number % 4])), range(40)))
            assert sorted(one.id for one in mine.seen()) == ids

    def test_what_is_closed_may_be_closed_again(self, machines: OpenMachines) -> None:
        with machines() as mine:
            mine.beat(machine("m1"))
            mine.close()
            mine.close()
        with machines() as again:
            assert [one.id for one in again.seen()] == ["m1"]
