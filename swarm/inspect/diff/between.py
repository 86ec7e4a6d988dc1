"""Two runs side by side: what they were asked, what they answered, found, read, cost and took.

    with open_run("first") as a, open_run("second") as b:
        told = diff(a, b)
        print(told.findings.only_b, told.b.cost_usd / told.a.cost_usd)

It counts and does not judge: which answer is better, and whether a difference is more than chance, no two runs can
tell. The runs may be in different stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import inf

from swarm.inspect.diff.answers import compared as answers_compared
from swarm.inspect.diff.findings import compared as findings_compared
from swarm.inspect.diff.parts import Difference, Setting, Sources
from swarm.inspect.diff.sides import cost_rows, side_of
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.inspect.why.way import answer_of
from swarm.observe.log import redact_text
from swarm.source import Source

LIMIT = 8
"""Of each kind that is listed."""


def diff(a: Opened, b: Opened, *, limit: int = LIMIT) -> Difference:
    """What is different between two runs; `limit` is how many of each kind are listed. It costs as much as the
    runs are long.

    Raises:
        StoreError: a store cannot be read.
    """
    one, other = _followed(a), _followed(b)
    answers = answer_of(one), answer_of(other)
    return Difference(
        a=side_of(a, one, answers[0]),
        b=side_of(b, other, answers[1]),
        settings=tuple(_settings(a, b, one, other)),
        answers=answers_compared(*answers, limit),
        findings=findings_compared(a, b, limit),
        sources=_sources(_corpus(one), _corpus(other), limit),
        costs=cost_rows(one, other),
        limits=tuple(_limits(one, other)),
    )


def _followed(opened: Opened) -> Follower:
    followed = Follower(opened)
    followed.catch_up()
    return followed


def _corpus(followed: Follower) -> dict[str, Source]:
    corpus = followed.plan.corpus
    return {one.path: one for one in corpus.sources} if corpus is not None else {}


def _settings(a: Opened, b: Opened, one: Follower, other: Follower) -> Iterator[Setting]:
    """What was asked and with what, where it differs."""
    mine, theirs = _told(a, one), _told(b, other)
    for name in dict.fromkeys([*mine, *theirs]):
        pair = mine.get(name, ""), theirs.get(name, "")
        if pair[0] != pair[1]:
            yield Setting(name=name, a=pair[0], b=pair[1])


def _told(opened: Opened, followed: Follower) -> dict[str, str]:
    task = followed.task
    told: dict[str, str] = {}
    if task is not None:
        told = {
            "asked": "; ".join(task.questions), "paths": ", ".join(task.paths), "mode": task.mode,
            "output": task.output, "slicing": task.slicing, "words": str(task.words), "done when": task.done_when,
            "check": task.check,
        }  # fmt: skip
    if followed.sessions:
        last = followed.sessions[-1]
        told |= {
            "model": last.model, "reader": last.reader, "places": _value(last.places),
            "concurrency": _value(last.concurrency), "base url": last.base_url or "",
        }  # fmt: skip
        limits = asdict(last.limits)
        limits.pop("cost_is_default")
        told |= {f"limit of {name}": _value(value) for name, value in limits.items()}
    session = opened.journal.latest(opened.run, "session")
    body = session.body if session is not None else {}
    for name, facts in body.get("facts", {}).items():
        told |= {f"{fact} of the {name}": _value(facts.get(fact)) for fact in ("window", "max_output", "revision")}
    told["version"] = str(body.get("version", ""))
    told["sessions"] = str(len(followed.sessions))
    told["added by a person"] = "; ".join(followed.instructions)
    return {name: redact_text(value) for name, value in told.items()}


def _value(value: object) -> str:
    if value is None or value == inf:
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sources(one: dict[str, Source], other: dict[str, Source], limit: int) -> Sources:
    """The sources of both by path, or by content where the paths have nothing in common."""
    if not one.keys() & other.keys():
        one, other = ({source.id: source for source in side.values()} for side in (one, other))
    both = one.keys() & other.keys()
    changed = sorted(one[key].path for key in both if one[key].id != other[key].id)
    only = [sorted(mine[key].path for key in mine.keys() - both) for mine in (one, other)]
    return Sources(
        same=len(both) - len(changed),
        changed=len(changed),
        only_a=len(only[0]),
        only_b=len(only[1]),
        some_changed=tuple(changed[:limit]),
        some_a=tuple(only[0][:limit]),
        some_b=tuple(only[1][:limit]),
    )


def _limits(one: Follower, other: Follower) -> Iterator[str]:
    """What the figures do not tell."""
    for name, side in (("A", one), ("B", other)):
        if side.answer is None:
            yield f"{name} has no answer: what it says so far is not compared"
        elif side.live:
            yield f"{name} is at work: its figures grow"
    if any(side.task is not None and side.task.mode == "work" for side in (one, other)):
        yield "of work, findings on a run's own results are of sources that the other does not have"
    yield "one run of each: whether a difference is more than chance, and which is better, is not told"
