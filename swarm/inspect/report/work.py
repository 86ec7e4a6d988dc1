"""The work of a run in a file: its slices, its calls, its plan, who worked when, and how far each source was read.

Slices go by their places in the plan. What is left out for want of room is told by whoever calls.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from swarm.inspect.data.calls import call
from swarm.inspect.data.coverage import coverage
from swarm.inspect.data.ground import STATES as READ_STATES
from swarm.inspect.data.ground import ground
from swarm.inspect.data.lanes import BAR_STATES, lanes
from swarm.inspect.data.rows import STATES as CALL_STATES
from swarm.inspect.data.slices import slice_
from swarm.inspect.follow import Cost
from swarm.inspect.look import Look
from swarm.inspect.plan import STATES
from swarm.inspect.report.blocks import Blocks
from swarm.inspect.report.findings import Packed
from swarm.inspect.report.texts import Texts

_CALL_BYTES, _SLICE_BYTES, _DETAIL_BYTES = 60, 90, 900
"""About what a row takes, compressed."""
_SOURCES = 200
_REPLY_CHARS = 6_000
_REPLIES = 400
_TOLD_BY_ROW = (
    "calls_list", "id", "name", "state", "begun", "ended", "calls", "tokens", "cost_usd", "machine",
)  # fmt: skip
"""Of a slice, what is told by its row and by the calls."""


def pack_slices(look: Look, blocks: Blocks) -> dict[str, int]:
    """Write a row for each slice, as it is listed; the places of slices by their ids."""
    known, names = look.follower.plan, look.follower.names
    branches = {key: number for number, key in enumerate(known.branches)}
    asked: dict[str, int] = {}
    for seen in known.slices.values():
        one = seen.slice
        blocks.add(
            "slices",
            [
                one.id, names.of(seen)[:200], asked.setdefault(one.question[:400], len(asked)),
                branches[seen.branch], STATES.index(seen.state), seen.why[:400], _after(look, seen.begun),
                _after(look, seen.ended), seen.calls, seen.tokens, round(seen.cost_usd, 9), one.round,
                one.item[:200], *([known.machines.name(seen.machine)[:200]] if seen.machine else ()),
            ],
        )  # fmt: skip
    blocks.end("slices")
    blocks.put("asked", list(asked))
    return {id_: place for place, id_ in enumerate(known.slices)}


def _after(look: Look, at: float | None) -> int | None:
    """Microseconds after the run began."""
    return None if at is None else round((at - look.follower.begun) * 1e6)


def pack_details(look: Look, blocks: Blocks, keep: int) -> int:
    """Write what opens of each slice, as long as `keep` bytes of room are left; how many are left out."""
    left = 0
    for id_ in look.follower.plan.slices:
        if blocks.left - keep < _DETAIL_BYTES:
            blocks.add("details", None)
            left += 1
            continue
        told = slice_(look, id_)
        for name in _TOLD_BY_ROW:
            del told[name]
        blocks.add("details", told)
    blocks.end("details")
    return left


def pack_plan(look: Look, blocks: Blocks) -> None:
    """Write the branches, each with what it is in and what is in it, by their places."""
    known = look.follower.plan
    number = {key: place for place, key in enumerate(known.branches)}
    places = {id_: place for place, id_ in enumerate(known.slices)}
    inside: dict[str | None, list[int]] = {}
    for key, branch in known.branches.items():
        inside.setdefault(branch.parent, []).append(number[key])
    spent: dict[str, Cost] = {}
    for (_, _, key), cost in look.follower.costs.items():
        sums = spent.setdefault(key, Cost())
        sums.calls += cost.calls
        sums.input_tokens += cost.input_tokens + cost.output_tokens
        sums.cost_usd += cost.cost_usd
    for key, branch in known.branches.items():
        cost = spent.get(key, Cost())
        told = {
            "key": key, "asked": branch.asked[:4_000], "round": branch.round, "plannings": branch.plannings,
            "judged": [said[:1_000] for said in branch.judged] if branch.judged else None, "calls": cost.calls,
            "tokens": cost.input_tokens, "cost_usd": cost.cost_usd, "inside": len(inside.get(key, ())),
            "states": {state: branch.states[state] for state in STATES},
        }  # fmt: skip
        up = number[branch.parent] if branch.parent is not None and branch.parent in number else -1
        blocks.add("branches", [told, up, inside.get(key, []), [places[id_] for id_ in branch.slices]])
    blocks.end("branches")


def pack_calls(look: Look, blocks: Blocks, keep: int) -> tuple[int, int]:
    """Write a row for each call, the newest first where not all fit; how many are left out, of how many."""
    calls, slices = look.follower.calls, look.follower.plan.slices
    places = {id_: place for place, id_ in enumerate(slices)}
    most = max(0, (blocks.left - keep) // _CALL_BYTES)
    first = max(0, len(calls) - most)
    for row in range(first, len(calls)):
        asker = calls.asked_by(row)
        state = CALL_STATES[calls.state[row]]
        blocks.add(
            "calls",
            [
                calls.keys[row].hex(), places.get(asker, asker), calls.model[row], calls.kind[row],
                _after(look, calls.begun[row]), _after(look, calls.over(row)), calls.input_tokens[row],
                calls.output_tokens[row], calls.cached_tokens[row], round(calls.cost_usd[row], 9),
                calls.counted[row], calls.room[row], state,
            ],
        )  # fmt: skip
    blocks.end("calls")
    return first, len(calls)


def pack_replies(look: Look, blocks: Blocks, keep: int) -> int:
    """Write what was replied, as long as `keep` bytes of room are left: to the coordinator first, and why calls
    failed, then to slices, the last calls first. How many are left out."""
    calls, slices = look.follower.calls, look.follower.plan.slices
    known = range(len(calls))
    first = [
        row
        for row in known
        if calls.asked_by(row) not in slices or CALL_STATES[calls.state[row]] in ("failed", "refused")
    ]
    chosen = [*first[-_REPLIES:], *sorted(set(known) - set(first), reverse=True)[:_REPLIES]]
    written = 0
    with ThreadPoolExecutor(1) as thread:  # a reply is awaited, and the caller may be on an event loop
        for row in chosen:
            if blocks.left - keep < _REPLY_CHARS:
                break
            blocks.add("replies", _reply(thread.submit(call, look, calls.keys[row].hex()).result()))
            written += 1
    blocks.end("replies")
    return len(calls) - written


def _reply(told: dict[str, Any]) -> list[Any]:
    reply = told["reply"]
    left = len(reply) - _REPLY_CHARS if reply else 0
    if left > 0:
        told = {**told, "reply": reply[:_REPLY_CHARS], "clipped": {"reply": left}}
    names = ("reply", "refusal", "failure", "clipped")
    return [told["key"], {name: told[name] for name in names if told.get(name)}]


def pack_lanes(look: Look, blocks: Blocks, keep: int) -> dict[str, Any] | None:
    """Write who worked when, bar by bar; None where there is no room for that, and the whole stands for it."""
    known = lanes(look)
    if blocks.left - keep < 25 * len(known.ids):
        return None
    places = {id_: place for place, id_ in enumerate(look.follower.plan.slices)}
    ends = np.where(np.isfinite(known.ended), known.ended, look.follower.last)
    for bar in range(len(known.ids)):
        id_ = known.ids[bar]
        who: Any = places.get(id_, id_) if known.lane[bar] < known.places else id_
        state = int(known.state[bar])
        blocks.add(
            "bars", [int(known.lane[bar]), _after(look, known.begun[bar]), _after(look, ends[bar]), state, who]
        )
    blocks.end("bars")
    return {"places": known.places, "coordinator": known.coordinator, "states": list(BAR_STATES)}


def pack_sources(look: Look, blocks: Blocks, texts: Texts, packed: Packed) -> None:
    """Write the sources: what of their text is there, and how far they were read."""
    line = ground(look)
    rows: dict[str, dict[str, Any]] = {}
    total = len(line.sources) if line is not None else 0
    for first in range(0, total, _SOURCES):
        rows |= {row["id"]: row for row in coverage(look, offset=first, limit=_SOURCES)["sources"]}
    for kept in texts.sources:
        number = line.number.get(kept.id) if line is not None else None
        reads = line.stretches(number, 0, kept.chars) if line is not None and number is not None else []
        blocks.add(
            "sources",
            [
                kept.id, kept.path, kept.media, kept.chars, int(kept.whole),
                [list(piece) for piece in kept.pieces],
                [[start, end, READ_STATES.index(state)] for start, end, state in reads],
                rows.get(kept.id), len(packed.quoted.get(kept.number, ())),
            ],
        )  # fmt: skip
    blocks.end("sources")


__all__ = [
    "pack_calls", "pack_details", "pack_lanes", "pack_plan", "pack_replies", "pack_slices", "pack_sources",
]  # fmt: skip
