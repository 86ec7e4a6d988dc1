"""What enters a plan: no circle, no orphan, nothing twice, no more than fits; and a reason for all of the rest."""

from __future__ import annotations

import graphlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swarm.agenda.admit import NAME_CHARS, OBJECTIVE_CHARS, Admitted, admit, content_of
from swarm.orders import Order


def order(name: str, *needs: str, objective: str = "", **more: object) -> Order:
    return Order(name=name, objective=objective or f"do {name}", needs=needs, **more)  # type: ignore[arg-type]


@dataclass
class Plan:
    """What is in a run already."""

    states: dict[str, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)

    def admit(self, proposed: Iterable[Order], room: int = 200, may_nest: bool = True) -> Admitted:
        return admit(
            proposed,
            state=self.states.get,
            same=self.contents.get,
            sources=lambda path: path.startswith("docs/"),
            room=room,
            may_nest=may_nest,
        )

    def take(self, admitted: Admitted) -> None:
        for one in admitted.orders:
            self.states[one.name] = "live"
            self.contents[content_of(one)] = one.name


def names(admitted: Admitted) -> list[str]:
    return [one.name for one in admitted.orders]


def reasons(admitted: Admitted) -> dict[str, str]:
    return {one.name: one.reason for one in admitted.refused}


def refused(*proposed: Order, plan: Plan | None = None, room: int = 200, may_nest: bool = True) -> dict[str, str]:
    return reasons((plan or Plan()).admit(proposed, room, may_nest))


def test_needs_come_first_and_else_the_order_of_the_proposal_holds() -> None:
    assert names(Plan().admit([order("a", "c"), order("b"), order("c")])) == ["c", "a", "b"]
    assert names(Plan().admit([order("b"), order("a"), order("c")])) == ["b", "a", "c"]


def test_an_order_may_need_what_is_in_the_run() -> None:
    plan = Plan({"old": "done", "busy": "live"})
    assert names(plan.admit([order("a", "old", "busy")])) == ["a"]


def test_unknown_needs_are_refused_and_so_is_all_that_builds_on_them() -> None:
    found = Plan().admit([order("c", "b"), order("b", "a"), order("a", "nobody"), order("d")])
    assert names(found) == ["d"]
    assert reasons(found) == {
        "a": 'needs "nobody", which is in no plan',
        "b": 'needs "a", which is refused',
        "c": 'needs "b", which is refused',
    }


def test_what_failed_or_was_dropped_cannot_be_needed() -> None:
    plan = Plan({"old": "failed", "gone": "dropped"})
    assert refused(order("a", "old"), order("b", "gone"), plan=plan) == {
        "a": 'needs "old", which failed',
        "b": 'needs "gone", which was dropped',
    }


def test_every_member_of_a_circle_is_refused_and_named() -> None:
    found = refused(order("a", "b"), order("b", "a"), order("c", "a"), order("d", "d"))
    assert found == {
        "a": "is part of a circle: a, b, a",
        "b": "is part of a circle: a, b, a",
        "c": 'needs "a", which is refused',
        "d": "is part of a circle: d, d",
    }


def test_circles_that_share_a_member_are_refused_together() -> None:
    found = refused(order("a", "b", "c"), order("b", "a"), order("c", "a"))
    assert found == dict.fromkeys("abc", "is part of circles among a, b, c")


def test_a_large_circle_is_told_on_a_short_line() -> None:
    found = refused(*(order(f"n{at}", f"n{(at + 1) % 10_000}") for at in range(10_000)))
    assert len(found) == 10_000
    assert found["n7"].startswith("is part of a circle: n0, n1, ")
    assert found["n7"].endswith("… (10,000 in all)")
    assert max(map(len, found.values())) < 150


def test_two_that_ask_the_same_are_one_and_whoever_needs_either_needs_that_one() -> None:
    found = Plan().admit(
        [order("a"), order("b", objective="  do\n a. "), order("c", "b", "a"), order("d", "a", objective="do c")]
    )
    assert [(one.name, one.needs) for one in found.orders] == [("a", ()), ("c", ("a",))]
    assert reasons(found) == {"b": 'asks the same as "a"', "d": 'asks the same as "c"'}


def test_one_that_asks_what_the_run_has_is_refused_and_its_dependents_use_what_the_run_has() -> None:
    plan = Plan({"old": "done"}, {content_of(order("x", objective="do b")): "old"})
    found = plan.admit([order("b"), order("c", "b")])
    assert reasons(found) == {"b": 'asks the same as "old"'}
    assert [(one.name, one.needs) for one in found.orders] == [("c", ("old",))]


def test_one_that_asks_what_failed_before_is_refused_with_all_that_needs_it() -> None:
    plan = Plan({"old": "failed"}, {content_of(order("b")): "old"})
    assert refused(order("b"), order("c", "b"), plan=plan) == {
        "b": 'asks the same as "old", which failed',
        "c": 'needs "old", which failed',
    }


def test_a_name_means_one_thing() -> None:
    plan = Plan({"a": "live"}, {content_of(order("a")): "a"})
    assert refused(order("a"), plan=plan) == {"a": 'asks the same as "a"'}
    other = 'the name "a" is taken by an order that asks something else'
    assert refused(order("a", objective="else"), order("b", "a"), plan=plan) == {
        "a": other,
        "b": 'needs "a", which is refused',
    }
    twice = Plan().admit([order("a"), order("a", objective="else"), order("a")])
    assert names(twice) == ["a"]
    assert [one.reason for one in twice.refused] == [other, 'asks the same as "a"']


def test_content_is_what_is_asked_and_not_how_it_is_spaced() -> None:
    one = Order(name="a", objective="Sum  the “it”.", needs=("x", "y", "x"), sources=("s", "r"), done_when="ok ")
    same = Order(name="b", objective='Sum the "it"', needs=("y", "x"), sources=("r", "s"), done_when="ok")
    assert content_of(one) == content_of(same) == content_of(replace(same, priority=5))
    others = [
        replace(same, objective='Sum the "It"'),
        replace(same, needs=("x",)),
        replace(same, sources=()),
        replace(same, done_when=""),
        replace(same, role="r"),
        replace(same, kind="plan"),
    ]
    assert len({content_of(each) for each in [one, *others]}) == 7


def test_planners_nest_only_where_they_may() -> None:
    assert refused(order("a", kind="plan"), may_nest=True) == {}
    assert "no more planners" in refused(order("a", kind="plan"), may_nest=False)["a"]
    assert refused(order("a", kind="dance")) == {"a": 'is of the kind "dance": there are work and plan'}


def test_unknown_sources_are_refused() -> None:
    found = refused(order("a", sources=("docs/x", "etc/passwd")))
    assert found == {"a": 'names the source "etc/passwd", which the task does not have'}


def test_words_have_bounds_and_no_control_characters() -> None:
    assert refused(order(" ")) == {" ": "has no name"}
    assert refused(order("a", objective=" \n")) == {"a": "has no objective"}
    assert refused(order("a", objective="x" * (OBJECTIVE_CHARS + 1))) == {
        "a": "has objective of 20,001 characters: 20,000 at the most"
    }
    assert refused(order("a", objective="one\n\ttwo")) == {}
    assert refused(order("a", objective="x\x00y")) == {"a": "has control characters in objective"}
    assert refused(order("a", done_when="\ud800")) == {"a": "has control characters in done_when"}
    assert refused(order("ü" * NAME_CHARS)) == {}


def test_what_is_told_fits_a_line_whatever_a_planner_says() -> None:
    long, odd = "x" * 1_000_000, "a\nb\x1b[31m\ud800\u202e"
    found = Plan().admit([order(long), order(odd), order("c", long), order("d", odd), order("e", odd * 100_000)])
    assert not found.orders
    for one in found.refused:
        text = f"{one.name}: {one.reason}"
        assert len(text) < 400
        assert text.encode("utf-8")
        assert not set(text) & {"\n", "\x1b", "\u202e"}


def test_a_planning_has_room_for_so_many() -> None:
    found = Plan().admit((order(f"n{at}") for at in range(300)), room=200)
    assert names(found) == [f"n{at}" for at in range(200)]
    assert reasons(found)["n200"] == "one planning may add 200 slices and this is number 201"
    assert len(found.refused) == 100
    assert not Plan().admit([order("a")], room=0).orders
    assert not Plan().admit([order("a")], room=-3).orders


def test_what_is_kept_never_needs_what_was_cut() -> None:
    goal_first = [order("goal", "part", "other"), order("part", "detail"), order("other"), order("detail")]
    found = Plan().admit(goal_first, room=3)
    assert names(found) == ["detail", "part", "other"]
    assert reasons(found) == {"goal": "one planning may add 3 slices and this is number 4"}
    assert reasons(Plan().admit(goal_first, room=1))["goal"] == 'needs "part", which is refused'


def test_refused_orders_take_no_room() -> None:
    found = Plan().admit([order("a", "nobody"), order("b"), order("b2", objective="do b"), order("c")], room=2)
    assert names(found) == ["b", "c"]


def test_long_chains_and_ten_thousand_children_take_seconds_and_no_recursion() -> None:
    began = time.process_time()
    chain = [order(f"n{at}", *([f"n{at + 1}"] if at < 99_999 else [])) for at in range(100_000)]
    assert names(Plan().admit(chain, room=10**6))[:2] == ["n99999", "n99998"]
    children = [order("top"), *(order(f"c{at}", "top") for at in range(10_000)), order("end")]
    children[-1] = order("end", *(f"c{at}" for at in range(10_000)))
    assert len(Plan().admit(children, room=10**6).orders) == 10_002
    assert time.process_time() - began < 20  # a second and a half, where nothing else runs


NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "live", "done", "failed", "nobody", ""])
PROPOSED = st.lists(
    st.builds(
        Order,
        name=NAMES,
        objective=st.sampled_from(["one", "two", "three", " one. ", "", "old"]),
        needs=st.lists(NAMES, max_size=3).map(tuple),
        kind=st.sampled_from(["work", "work", "work", "plan"]),
        sources=st.sampled_from([(), (), ("docs/x",), ("etc/x",)]),
    ),
    max_size=12,
)


def run_so_far() -> Plan:
    states = {"live": "live", "done": "done", "failed": "failed"}
    return Plan(states, {content_of(order("live", objective="old")): "live"})


@settings(max_examples=400, deadline=None)
@given(PROPOSED, st.integers(0, 6), st.booleans())
def test_what_is_let_in_is_whole_and_the_ledger_adds_up(proposed: list[Order], room: int, may_nest: bool) -> None:
    plan = run_so_far()
    found = plan.admit(proposed, room, may_nest)
    assert len(found.orders) <= room
    assert all(one.reason for one in found.refused)
    counted = Counter(names(found)) + Counter(one.name for one in found.refused)
    assert counted == Counter(one.name for one in proposed)
    inside = set(names(found))
    assert len(inside) == len(found.orders)
    assert not inside & set(plan.states)
    contents = [content_of(one) for one in found.orders]
    assert len(set(contents)) == len(contents)
    assert not set(contents) & set(plan.contents)
    before: set[str] = {name for name, state in plan.states.items() if state in ("live", "done")}
    for one in found.orders:
        assert before.issuperset(one.needs), "needs come first"
        before.add(one.name)
    graphlib.TopologicalSorter({one.name: one.needs for one in found.orders}).prepare()
    assert may_nest or all(one.kind == "work" for one in found.orders)


@settings(max_examples=300, deadline=None)
@given(PROPOSED)
def test_the_same_proposal_again_adds_nothing(proposed: list[Order]) -> None:
    plan = run_so_far()
    plan.take(plan.admit(proposed))
    assert plan.admit(proposed).orders == ()


@settings(max_examples=200, deadline=None)
@given(PROPOSED, st.integers(0, 4))
def test_proposing_on_with_little_room_ends_where_much_room_does(proposed: list[Order], room: int) -> None:
    plan, whole = run_so_far(), run_so_far()
    # a name of the run's that is proposed for something else is refused, and with it what needs it: what that asks
    # the same as may be let in before or after
    assume(not any(one.name in plan.states for one in proposed))
    whole.take(whole.admit(proposed))
    for _ in range(len(proposed) + 1):
        plan.take(plan.admit(proposed, max(room, 1)))
    assert plan.states == whole.states
