from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm.agenda.agenda import Agenda


def drained(agenda: Agenda) -> list[str]:
    """All that is left, one after another."""
    taken = []
    while (ref := agenda.take()) is not None:
        taken.append(ref)
        agenda.settle(ref)
    return taken


def test_what_it_needs_comes_first() -> None:
    agenda = Agenda()
    agenda.add("a")
    agenda.add("b", needs=["a"])
    agenda.add("c", needs=["a", "b", "a"])
    assert (agenda.ready, agenda.waiting, agenda.running, len(agenda)) == (1, 2, 0, 3)
    assert agenda.take() == "a"
    assert agenda.take() is None
    agenda.settle("a")
    assert drained(agenda) == ["b", "c"]
    assert (agenda.ready, agenda.waiting, agenda.running, len(agenda)) == (0, 0, 0, 0)


def test_a_need_that_is_not_live_counts_as_settled() -> None:
    agenda = Agenda()
    agenda.add("a")
    drained(agenda)
    agenda.add("b", needs=["a", "never heard of", "b"])
    assert "a" not in agenda
    assert drained(agenda) == ["b"]


def test_what_is_live_already_is_not_added_again() -> None:
    agenda = Agenda()
    agenda.add("a")
    agenda.add("b", needs=["a"])
    agenda.add("b", priority=9)
    assert agenda.take() == "a"
    agenda.add("a")
    assert agenda.take() is None
    agenda.settle("a")
    assert drained(agenda) == ["b"]


def test_within_a_branch_priority_and_then_age_decide() -> None:
    agenda = Agenda()
    for ref, priority in (("old", 0), ("urgent", 5), ("young", 0), ("late", -1), ("urgent too", 5)):
        agenda.add(ref, priority=priority)
    assert drained(agenda) == ["urgent", "urgent too", "old", "young", "late"]


def test_age_is_counted_from_when_it_was_added_and_not_from_when_it_became_ready() -> None:
    agenda = Agenda()
    agenda.add("first")
    agenda.add("waits", needs=["first"])
    agenda.add("ready all along")
    assert drained(agenda) == ["first", "waits", "ready all along"]


def test_a_branch_with_ten_thousand_does_not_hold_up_one_with_three() -> None:
    agenda = Agenda()
    for n in range(10_000):
        agenda.add(f"many {n}", branch="many", priority=100)
    for n in range(3):
        agenda.add(f"few {n}", branch="few")
    places = [agenda.take() for _ in range(8)]
    assert Counter(str(ref).split()[0] for ref in places) == {"many": 5, "few": 3}


def test_the_branch_with_the_fewest_running_comes_first_and_of_several_the_one_served_longest_ago() -> None:
    agenda = Agenda()
    for branch in "xyz":
        for n in range(3):
            agenda.add(f"{branch}{n}", branch=branch)
    assert [agenda.take() for _ in range(4)] == ["x0", "y0", "z0", "x1"]
    agenda.settle("x0")
    agenda.settle("x1")
    assert [agenda.take() for _ in range(3)] == ["x2", "y1", "z1"]


def test_an_old_branch_is_not_starved_by_ever_new_ones() -> None:
    agenda = Agenda()
    agenda.add("old 0", branch="old")
    agenda.add("old 1", branch="old")
    taken = []
    for n in range(6):
        agenda.add(f"new {n}", branch=f"new {n}")
        ref = agenda.take()
        assert ref is not None
        taken.append(ref)
        agenda.settle(ref)
    assert taken.index("old 1") <= 3


def test_dropping_takes_all_that_waits_for_it_along_the_nearest_first() -> None:
    agenda = Agenda()
    agenda.add("a")
    agenda.add("other")
    agenda.add("b", needs=["a"])
    agenda.add("c", needs=["a", "other"])
    agenda.add("d", needs=["b", "c"])
    agenda.add("far", needs=["d"])
    agenda.add("apart", needs=["other"])
    assert agenda.drop("a") == ["b", "c", "d", "far"]
    assert agenda.drop("a") == []
    assert drained(agenda) == ["other", "apart"]


def test_what_was_dropped_can_be_added_again_and_is_not_ready_too_soon() -> None:
    agenda = Agenda()
    for ref in ("a", "b"):
        agenda.add(ref)
    agenda.add("c", needs=["a", "b"])
    agenda.drop("c")
    agenda.add("c", needs=["a", "b"])
    assert [agenda.take(), agenda.take()] == ["a", "b"]
    agenda.settle("a")
    assert agenda.take() is None
    agenda.settle("b")
    assert agenda.take() == "c"


def test_clearing_drops_all_that_has_not_started() -> None:
    agenda = Agenda()
    for ref in "abc":
        agenda.add(ref)
    agenda.add("d", needs=["a"])
    assert agenda.take() == "a"
    assert agenda.clear() == ["b", "c", "d"]
    assert (len(agenda), agenda.running, agenda.take()) == (1, 1, None)
    agenda.settle("a")
    assert len(agenda) == 0


def test_it_tells_when_something_has_become_ready() -> None:
    told: list[int] = []
    agenda = Agenda(lambda: told.append(agenda.ready))
    agenda.add("a")
    agenda.add("b", needs=["a"])
    agenda.add("c", needs=["a"])
    assert told == [1]
    agenda.take()
    agenda.settle("a")
    assert told == [1, 2]


def test_a_long_chain_that_is_streamed_through_holds_its_live_part_only() -> None:
    agenda = Agenda()
    ahead = 10
    for n in range(ahead):
        agenda.add(str(n), needs=[str(n - 1)], branch=str(n % 7))
    for n in range(100_000):
        assert agenda.take() == str(n)
        agenda.add(str(n + ahead), needs=[str(n + ahead - 1)], branch=str((n + ahead) % 7))
        agenda.settle(str(n))
        assert len(agenda) == ahead
    assert _held(agenda) < 100
    agenda.clear()
    assert len(agenda) == 0


def test_adding_and_dropping_for_ever_leaves_nothing_behind() -> None:
    agenda = Agenda()
    agenda.add("stays")
    for n in range(10_000):
        agenda.add(f"ready {n}", branch=str(n % 3))
        agenda.add(f"waits {n}", needs=["stays"], branch=str(n))
        agenda.drop(f"ready {n}")
        agenda.drop(f"waits {n}")
    assert len(agenda) == 1
    assert _held(agenda) < 200


def _held(agenda: Agenda) -> int:
    """Whatever it keeps a hold of, also what no longer holds."""
    heaps = sum(len(branch.heap) for branch in agenda._branches.values())
    waiters = sum(len(node.waiters or ()) for node in agenda._nodes.values())
    return len(agenda._nodes) + len(agenda._branches) + len(agenda._order) + heaps + waiters


Plans = st.lists(
    st.tuples(st.sets(st.integers(0, 39), max_size=4), st.integers(-2, 2), st.sampled_from("xyz")), max_size=40
)


@given(plan=Plans, places=st.integers(1, 6), data=st.data())
def test_all_are_taken_once_each_after_its_needs_whatever_ends_first(
    plan: list[tuple[set[int], int, str]], places: int, data: st.DataObject
) -> None:
    agenda = Agenda()
    for number, (needs, priority, branch) in enumerate(plan):
        agenda.add(str(number), needs=map(str, needs), priority=priority, branch=branch)
    taken: list[str] = []
    running: list[str] = []
    settled: set[str] = set()
    while True:
        while len(running) < places and (ref := agenda.take()) is not None:
            assert {str(need) for need in plan[int(ref)][0] if need < int(ref)} <= settled
            taken.append(ref)
            running.append(ref)
        if not running:
            break
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        settled.add(ended)
        agenda.settle(ended)
    assert sorted(taken, key=int) == [str(number) for number in range(len(plan))]
    assert (len(agenda), agenda.ready, agenda.waiting, agenda.running) == (0, 0, 0, 0)
    assert not agenda._branches


class AgainstASlowOne(RuleBasedStateMachine):
    """The agenda beside one that looks everything up each time."""

    @initialize()
    def begin(self) -> None:
        self.agenda = Agenda()
        self.needs: dict[str, set[str]] = {}
        self.where: dict[str, tuple[int, str]] = {}
        self.running: list[str] = []
        self.turns: dict[str, int] = {}
        self.count = 0

    @rule(
        ref=st.integers(0, 30).map(str),
        needs=st.sets(st.integers(0, 30).map(str), max_size=4),
        priority=st.integers(-1, 1),
        branch=st.sampled_from("xyz"),
    )
    def add(self, ref: str, needs: set[str], priority: int, branch: str) -> None:
        self.agenda.add(ref, needs=sorted(needs), priority=priority, branch=branch)
        if ref not in self.needs:
            self.count += 1
            self.turns.setdefault(branch, self.count)
            self.needs[ref] = {need for need in needs if need in self.needs}
            self.where[ref] = (priority, branch)

    def ready(self) -> list[str]:
        """In the order in which they were added."""
        return [ref for ref, needs in self.needs.items() if not needs and ref not in self.running]

    def running_in(self, branch: str) -> int:
        return sum(self.where[ref][1] == branch for ref in self.running)

    @rule()
    def take(self) -> None:
        ready = self.ready()
        ref = self.agenda.take()
        if not ready:
            assert ref is None
            return
        branches = {self.where[each][1] for each in ready}
        branch = min(branches, key=lambda each: (self.running_in(each), self.turns[each]))
        assert ref == max(
            (each for each in ready if self.where[each][1] == branch), key=lambda e: self.where[e][0]
        )
        self.count += 1
        self.turns[branch] = self.count
        self.running.append(ref)

    @precondition(lambda self: self.needs)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(sorted(self.needs)))
        self.agenda.settle(ref)
        self._forget({ref})

    @precondition(lambda self: self.needs)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(sorted(self.needs)))
        gone = {ref}
        while more := {each for each, needs in self.needs.items() if needs & gone} - gone:
            gone |= more
        dropped = self.agenda.drop(ref)
        assert len(dropped) == len(set(dropped))
        assert {ref, *dropped} == gone
        self._forget(gone)

    @rule()
    def clear(self) -> None:
        gone = {ref for ref in self.needs if ref not in self.running}
        assert self.agenda.clear() == [ref for ref in self.needs if ref in gone]
        self._forget(gone)

    def _forget(self, gone: set[str]) -> None:
        self.needs = {ref: needs - gone for ref, needs in self.needs.items() if ref not in gone}
        self.running = [ref for ref in self.running if ref not in gone]
        live = {self.where[ref][1] for ref in self.needs}
        self.turns = {branch: turn for branch, turn in self.turns.items() if branch in live}

    @invariant()
    def counts_are_right(self) -> None:
        ready = len(self.ready())
        assert len(self.agenda) == len(self.needs)
        assert (self.agenda.ready, self.agenda.running) == (ready, len(self.running))
        assert self.agenda.waiting == len(self.needs) - ready - len(self.running)
        assert all(ref in self.agenda for ref in self.needs)


TestAgainstASlowOne = AgainstASlowOne.TestCase


@given(
    sizes=st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(1, 30), min_size=2, max_size=6),
    places=st.integers(1, 12),
    data=st.data(),
)
def test_no_branch_waits_while_another_one_has_two_more_places(
    sizes: dict[str, int], places: int, data: st.DataObject
) -> None:
    agenda = Agenda()
    for branch, size in sizes.items():
        for n in range(size):
            agenda.add(f"{branch}:{n}", branch=branch)
    left = Counter(sizes)
    running: list[str] = []
    while any(left.values()) or running:
        while len(running) < places and (ref := agenda.take()) is not None:
            branch = ref.partition(":")[0]
            used = Counter(each.partition(":")[0] for each in running)
            assert used[branch] == min(used[name] for name, count in left.items() if count)
            left[branch] -= 1
            running.append(ref)
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        agenda.settle(ended)


@pytest.mark.parametrize("step", ["settle", "drop"])
def test_what_is_not_known_changes_nothing(step: str) -> None:
    agenda = Agenda()
    agenda.add("a")
    assert getattr(agenda, step)("b") in (None, [])
    assert drained(agenda) == ["a"]
