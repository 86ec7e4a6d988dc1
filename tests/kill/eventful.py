"""A small run in which everything happens that a run writes down: slices that are too long, slices with more to
say, slices that fail, contradictions that are judged, asked about and judged again, a second round, and summaries.

What the simulated provider says otherwise than its mimic does is a function of the request alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from swarm.testing.faults import Arrival, Fault, Plan, fault_where, one_of
from tests.kill.victim import Job

QUESTION = "Who was the keeper of the lighthouse?"
_FOLLOW_UP = "Which keeper of the lighthouse was drowned?"
_FULL, _LONG, _FAILING, _PLAIN = 2, 2, 2, 5  # sources of each sort, in this order
_TOO_LONG = Fault(status=400, code="context_length_exceeded", message="the prompt is too long")
_REFUSED = Fault(text="I cannot help with that.", stop="refusal")


def write_corpus(folder: Path) -> Path:
    """One slice a source; those that come to much come first: a run that is killed often meets them all."""
    folder.mkdir()
    number = 0
    for sort, many in (("full", _FULL), ("long", _LONG), ("failing", _FAILING), ("plain", _PLAIN)):
        for _ in range(many):
            lines = _lines(sort, number)
            (folder / f"{number:02}-{sort}.txt").write_text("\n\n".join(lines), "utf-8")
            number += 1
    return folder


def write_disputes(folder: Path) -> Path:
    """More pairs of claims that contradict one another than are judged in one round."""
    folder.mkdir()
    for number in range(20):
        names = [(f"{number}{n}", _name(number, n)) for n in range(3)]
        lines = [
            f"The keeper of lighthouse {one} was{no} called {name}." for one, name in names for no in ("", " not")
        ]
        (folder / f"{number:02}.txt").write_text("\n\n".join(lines), "utf-8")
    return folder


def _lines(sort: str, number: int) -> list[str]:
    if sort == "full":
        return [f"Keeper of lighthouse {number}{n:02}: {_name(number, n)}." for n in range(22)]
    lines = [f"Mill {number} ground corn in the year {1800 + n}, and was still in winter." for n in range(6)]
    for n in range(5):
        lines.insert(2 * n, f"The keeper of lighthouse {number}{n:02} was called {_name(number, n)}.")
    if sort == "plain" and number % 2:
        lines.append(f"The keeper of lighthouse {number}00 was not called {_name(number, 0)}.")
        lines.append(f"The keeper of lighthouse {number}01 was drowned in a storm.")
    if sort == "long":
        return [f"Here begins marsh {number}.", *lines, f"Here ends marsh {number}."]
    return [*lines, f"A curse lies on mill {number}."] if sort == "failing" else lines


def _name(number: int, n: int) -> str:
    first = ("Ida", "Anders", "Marta", "Olof", "Brita", "Nils")[(number + n) % 6]
    return f"{first} {('Lewis', 'Berg', 'Holm', 'Strand', 'Lind')[n % 5]}son{number}{n}"


def plan() -> Plan:
    """What the provider says and refuses."""
    return one_of((
        _asks_on,
        *(_where(f"begins marsh {n}", f"ends marsh {n}", _TOO_LONG) for n in range(_FULL, _FULL + _LONG)),
        fault_where(f"A curse lies on mill {_FULL + _LONG}.", _REFUSED),
        fault_where(f"A curse lies on mill {_FULL + _LONG + 1}.", Fault(status=500)),
    ))  # fmt: skip


def _where(one: str, other: str, fault: Fault) -> Plan:
    """Requests that hold both."""

    def both(arrival: Arrival) -> Fault | None:
        return fault if one.encode() in arrival.body and other.encode() in arrival.body else None

    return both


def _asks_on(arrival: Arrival) -> Fault | None:
    """The judge has a question, once."""
    if b'"follow_ups"' not in arrival.body or _FOLLOW_UP.encode() in arrival.body:
        return None
    reply = {"verdict": "follow_up", "follow_ups": [_FOLLOW_UP], "reason": "Not all was said."}
    return Fault(text=json.dumps(reply))


def job_of(folder: Path, store: str, corpus: Path) -> Job:
    return Job(
        folder=folder, store=store, corpus=corpus, base_url="", question=QUESTION, window=6_000, concurrency=4
    )
