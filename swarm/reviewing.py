"""Reviewers beside those who do the work: a look at what each slice left, from a clean window, and slices for what
they find.

A review is an order like any other, which follows from the order that it looks at; what it proposes follows from
it in turn. All that has to be known later stands in the names and needs of orders, so that a run that goes on
comes to the same. Pure; this module knows no run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b

from swarm.errors import UsageError
from swarm.orders import Order
from swarm.program import Program, Role
from swarm.task import Report

_ROUND = re.compile(r"review (\d+) by ")
_NAME_CHARS = 150
_TOLD_CHARS = 4_000  # of what was asked of the reviewed slice
_COMMIT = "application/x-git-commit"

INSTRUCTIONS = """\
You review what a colleague left; you took no part in it and see it for the first time. Look at the change itself
and at what it touches, not at what is said of it. Look for what is wrong: it does not do what was asked, it breaks
something else, a case that is not handled, a test that proves nothing or was weakened, the same thing made twice,
something left behind. Leave taste alone, and what was not asked for.

You change nothing. Report "done". `result` says what you looked at and what you found, each with file and line.
Each thing that has to be mended is one entry of `proposed`: its objective says where it is, what is wrong, how
that shows, and how anyone can tell that it is mended, for someone who sees nothing but that. Where nothing has to
be mended, `proposed` is empty: that is a good review, too."""

REVIEWER = Role(
    name="reviewer",
    instructions=INSTRUCTIONS,
    tools=("list_files", "read_file", "search_files", "run_command"),
    workspace="read",
    view_tokens=0,
    legs=2,
    steps=60,
)
"""A reviewer of work that lands in a repository."""

_PLANNER = """\
Each slice is reviewed when it is done, and what a review finds to be mended becomes a slice without you. A slice
of your own that mends what a review found names that review in its needs."""


def reviewed(program: Program, *roles: Role, rounds: int = 1, most: int = 4) -> Program:
    """The same program with reviewers: `roles`, or REVIEWER where none is given.

    When an order is done, an order for each reviewer follows, which needs it. What a review proposes, `most` at
    the most, becomes orders of the reviewed one's role that need the review. These are reviewed as well, up to
    `rounds` reviews one after the other; what the last one proposes is mended too, and not looked at again. The
    program's own `follow` is not asked about reviews, nor about what is mended. Orders of the kind `plan` are not
    reviewed, only what they are planned into.

    Raises:
        UsageError: a reviewer's name is empty or taken, or the numbers make no sense.
    """
    reviewers = roles or (REVIEWER,)
    if rounds < 1 or most < 1:
        raise UsageError(f"reviews need one round and one proposal at the least: {rounds=}, {most=}")
    worked = {"", *(role.name for role in program.roles)} - {
        one.name for one in program.roles if one.code is not None
    }
    reviews = _reviews(reviewers, worked, {role.name for role in program.roles})
    follow = program.follow

    def following(order: Order, report: Report) -> Iterable[Order]:
        if order.role in reviews:
            return _mended(order, report, reviews[order.role], most)
        past = _past(order)
        own = tuple(follow(order, report) or ()) if follow is not None and not past else ()
        if order.kind == "plan" or order.role not in worked or past >= rounds:
            return own
        return (*own, *(_review(order, report, one.name, past + 1) for one in reviewers))

    planner = program.planner
    if program.orders is None:
        planner = replace(planner, instructions=f"{planner.instructions}\n\n{_PLANNER}".strip())
    made = [replace(one, name=_role_name(one.name, of)) for one in reviewers for of in sorted(worked)]
    return replace(program, follow=following, roles=(*program.roles, *made), planner=planner)


def _reviews(reviewers: Iterable[Role], worked: set[str], taken: set[str]) -> dict[str, str]:
    """The roles of reviews by their names, each with the role of what it reviews."""
    found: dict[str, str] = {}
    for one in reviewers:
        for of in worked:
            name = _role_name(one.name, of)
            if not one.name or name in found or name in taken:
                raise UsageError(f"the reviewer {one.name!r} needs a name that no other role has")
            found[name] = of
    return found


def _role_name(reviewer: str, of: str) -> str:
    return f"{reviewer} of {of}" if of else reviewer


def _past(order: Order) -> int:
    """How many reviews, one after the other, led to an order."""
    return max((int(found[1]) for need in order.needs if (found := _ROUND.match(need))), default=0)


def _review(order: Order, report: Report, by: str, number: int) -> Order:
    commit = next((one.ref for one in report.artifacts if one.media == _COMMIT), None)
    where = f" It landed as the commit {commit}: `git show {commit}` shows it." if commit is not None else ""
    asked = order.objective if len(order.objective) <= _TOLD_CHARS else f"{order.objective[:_TOLD_CHARS]}…"
    done_when = f"\nIt was to be done when: {order.done_when}" if order.done_when else ""
    return Order(
        name=_name(f"review {number} by {by}: {order.name}"),
        objective=f'Review what "{order.name}" left.{where}\nIt was asked to: {asked}{done_when}',
        needs=(order.name,),
        priority=order.priority + 1,
        role=_role_name(by, order.role),
    )


def _mended(review: Order, report: Report, role: str, most: int) -> Iterator[Order]:
    """What a review found, as orders. The sources that it names are left out: whether they are there is not known
    here."""
    for proposal in report.proposed[:most]:
        yield Order(
            name=_name(f"{proposal.name} (from {review.name})"),
            objective=proposal.objective,
            needs=(review.name,),
            priority=review.priority,
            role=role,
        )


def _name(name: str) -> str:
    """The name, cut where it is long, and then with what tells it from others that begin alike."""
    if len(name) <= _NAME_CHARS:
        return name
    return f"{name[: _NAME_CHARS - 12]}… {blake2b(name.encode('utf-8', 'replace'), digest_size=5).hexdigest()}"
