"""What a person is asked in the middle of a run, and what they may say to it.

    budget   before anything is sent: what the run would come to
    plan     after planning and before the first slice: the same, with the plan
    limit    where a limit is reached: what is left to do, and what it would come to

Plain values that any client can show and send. How the question gets to a person is not known here.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from swarm.coordinator.desk import Desk
from swarm.errors import UsageError
from swarm.limits.budget import effective
from swarm.store.mailbox import request
from swarm.task import Estimate, Limits, Slice, Usage

Asks = Literal["budget", "plan", "limit"]

LIMITS: TypeAdapter[Limits] = TypeAdapter(Limits)
_NAMES = frozenset(field.name for field in fields(Limits)) - {"cost_is_default"}
_LISTED = 20  # slices of a plan that are shown
_LONGEST = 200  # characters of one of their objectives


class Said(BaseModel):
    """What a person says. Limits hold from then on; an instruction is taken up as one to a run at work is."""

    model_config = ConfigDict(extra="forbid")

    approved: bool = True
    limits: dict[str, Any] = Field(default_factory=dict)
    instruction: str = ""


SCHEMA = Said.model_json_schema()


def question(asks: Asks, desk: Desk, expected: Estimate | None) -> dict[str, Any]:
    """What is shown to a person: small, and of plain values. `expected` is None where there is no telling."""
    told: dict[str, Any] = {
        "asks": asks,
        "run_id": desk.run,
        "questions": list(desk.task.questions),
        "sources": len(desk.corpus.sources),
        "spent": usage(desk.spent),
        "limits": said_limits(desk.limits),
    }
    if expected is not None:
        told |= estimated(expected)
        told |= {"prices": list(expected.prices), "assumptions": list(expected.assumptions)}
    if asks == "plan":
        told["plan"] = _plan(desk)
    if asks == "limit":
        told |= {"limit": desk.limit, "reason": desk.stopped, "left": len(_waiting(desk))}
    return told


def _plan(desk: Desk) -> dict[str, Any]:
    advice = desk.plans[-1].advice if desk.plans else None
    waiting = _waiting(desk)
    return {
        "slices": len(waiting),
        "reading": advice.reading if advice else "",
        "queries": list(advice.queries) if advice else [],
        "first": [_slice(one) for one in waiting[:_LISTED]],
    }


def _waiting(desk: Desk) -> list[Slice]:
    """What is planned and not settled."""
    if desk.work is not None:
        return list(desk.work.live.values())
    return [desk.slices[ref] for ref in desk.planned]


def _slice(one: Slice) -> dict[str, Any]:
    name = {"name": one.order.name, "needs": list(one.order.needs)} if one.order is not None else {}
    return {**name, "objective": one.question[:_LONGEST], "tokens": one.tokens, "item": one.item}


def estimated(expected: Estimate) -> dict[str, Any]:
    """An estimate in plain values."""
    over = expected.over_limit
    return {
        "slices": expected.slices,
        "likely": usage(expected.likely),
        "most": usage(expected.most),
        "most_usd": expected.most_usd,
        "minutes": expected.minutes,
        "over_limit": None if over is None else {"limit": over.limit, "share": over.share},
    }


def usage(spent: Usage) -> dict[str, Any]:
    return {**asdict(spent), "tokens": spent.tokens}


def said_limits(limits: Limits) -> dict[str, Any]:
    """The limits that are not as they are when nothing is said."""
    nothing = Limits()
    return {
        name: said_limits(value) if isinstance(value, Limits) else value
        for name in sorted(_NAMES)
        if (value := getattr(limits, name)) != getattr(nothing, name)
    }


def limits_of(given: dict[str, Any], before: Limits | None = None) -> Limits:
    """Limits from plain values; those that are not named are what they were.

    Raises:
        UsageError: a name that is none, or a value that makes no sense.
    """
    if wrong := given.keys() - _NAMES:
        raise UsageError(f"limits: {', '.join(sorted(wrong))} is none: give {', '.join(sorted(_NAMES))}")
    try:
        known = asdict(before or Limits())
        if "cost_usd" in given:
            known["cost_is_default"] = False
        return effective(LIMITS.validate_python({**known, **given}), ())
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"limits.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def understood(asks: str, reply: Any) -> Said | str:
    """What a person said, or what is wrong with it, in words for them."""
    try:
        said = Said(approved=reply) if isinstance(reply, bool) else Said.model_validate(reply)
        limits_of(said.limits)
        if said.instruction:
            request("steer", text=said.instruction)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the reply"
        return f'{where}: {first["msg"]}; say {{"approved": true}}, {{"limits": {{…}}}} or {{"instruction": "…"}}'
    except UsageError as error:
        return str(error)
    if asks == "limit" and said.approved and not said.limits:
        return (
            'say which limits are to hold from now on, as in {"limits": {"cost_usd": 3}}, or {"approved": false}'
        )
    return said
