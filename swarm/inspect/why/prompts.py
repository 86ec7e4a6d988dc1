"""The prompts on a way down: made again by a replay, since they are not kept, and held against the keys of calls.

A key is a hash of the model, the wording and what was asked, so that a prompt whose key is the recorded call's is
the one that was sent. With the prompt that the answer was written from, it is also known which findings the model
named for a sentence: before, that was told by place alone. Nothing is sent: replies are taken from the journal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from swarm.errors import SwarmError
from swarm.inspect.opened import Opened
from swarm.inspect.why.calls import statements_in
from swarm.inspect.why.parts import Asked, Ground, Said, Shown, Why
from swarm.models.base import Completion
from swarm.observe.log import redact_text
from swarm.observe.scope import scope
from swarm.playback import replay
from swarm.prompts.acting import ActPrompt
from swarm.prompts.render import render
from swarm.prompts.typed import Prompt, ViewPrompt
from swarm.task import Usage

_WHOLE = "its key is the recorded call's: the same model, wording, question, and text or findings that were shown"
_STEP = (
    "its key is the recorded call's, which names the step and not every word: the replay, whose records came out "
    "the same, made the words again"
)
_NAMES_A_STEP = ("work", "outline", "assess", "act")


@dataclass(kw_only=True)
class Heard:
    """Prompts that a replay made, by the keys of their calls, and who asked. `problem` says why it did not come to
    its end; None: everything came out the same."""

    prompts: dict[str, Prompt[Any]] = field(default_factory=dict)
    askers: dict[str, str] = field(default_factory=dict)
    problem: str | None = None


async def heard(opened: Opened, keys: Collection[str], askers: Collection[str] = ()) -> Heard:
    """Replay a run and keep the prompts of these calls, and all those of these askers. It costs as much as the run
    is long."""
    found = Heard()

    def seen(key: str, prompt: Prompt[Any]) -> None:
        asker = scope().asker
        if key in keys or asker in askers:
            found.prompts[key], found.askers[key] = prompt, asker

    try:
        await replay(opened.run, opened.where, seen=seen)
    except SwarmError as error:
        found.problem = redact_text(str(error))
    except (LookupError, ValueError) as error:  # a record of another version's form
        found.problem = redact_text(f"a record is not as this version reads it ({type(error).__name__}: {error})")
    return found


async def with_prompts(told: Why, opened: Opened) -> Why:
    """A way down with the prompts of its calls, their replies, and what the model that wrote the answer named.

    Raises:
        StoreError: the store cannot be read.
    """
    keys = {call.key for call in told.calls}
    unpaid = [step.id for step in told.steps if not step.calls]
    made = await heard(opened, keys, unpaid)
    calls = [*told.calls, *(_unpaid(made, key) for key in made.prompts if key not in keys)]
    typed = _typed(opened)
    replies = {call.key: await opened.journal.finished_call(call.key) for call in calls}
    shown = tuple(
        _with(call, made.prompts.get(call.key), replies[call.key], call.model in typed) for call in calls
    )
    ends = list(told.ends)
    if made.problem is not None:
        ends.append(
            f"the run cannot be replayed to its end, so that some prompts are not to be had: {made.problem}"
        )
    elif any(call.prompt is None for call in shown):
        ends.append("the replay did not ask some of these calls again: their prompts are not to be had")
    return _named(replace(told, calls=shown, ends=tuple(ends)), made, replies)


def text_of(prompt: Prompt[Any]) -> str:
    """A prompt as one text, in the order in which a language model is sent it."""
    rendered = render(prompt)
    parts = [f"[system]\n{rendered.system}", "[user]\n" + "\n\n".join(rendered.parts)]
    parts += [f"[turn {number}]\n{turn.text}" for number, turn in enumerate(rendered.turns, start=1)]
    parts += [rendered.last] if rendered.last else []
    if isinstance(prompt, ActPrompt):
        parts.insert(1, "[tools]\n" + "\n".join(f"{tool.name}: {tool.description}" for tool in rendered.tools))
    return "\n\n".join(parts)


def _with(call: Asked, prompt: Prompt[Any] | None, reply: Completion | None, typed: bool) -> Asked:
    shown = None
    if prompt is not None:
        proof = _STEP if prompt.kind in _NAMES_A_STEP else _WHOLE
        shown = Shown(text=text_of(prompt), proof=proof, typed=typed)
    said = None if reply is None else reply.text if reply.refusal is None else reply.refusal
    return replace(call, prompt=shown, reply=said)


def _unpaid(made: Heard, key: str) -> Asked:
    """A call whose reply another run had paid for, as far as the prompt tells."""
    asker = made.askers[key]
    return Asked(
        key=key, asker=asker, who=asker[:12], model="", kind=made.prompts[key].kind, shared=False,
        state="answered to another run", begun=0.0, seconds=0.0, usage=Usage(), window=0, counted=0, fill=None,
        tries=0, failure="",
    )  # fmt: skip


def _typed(opened: Opened) -> set[str]:
    """The models of a run that take prompts as they are typed."""
    session = opened.journal.latest(opened.run, "session")
    facts = session.body.get("facts", {}) if session is not None else {}
    return {one["name"] for one in facts.values() if one.get("selective")}


def _named(told: Why, made: Heard, replies: dict[str, Completion | None]) -> Why:
    """Which findings, or sentences of summaries, the model that wrote the answer named for this sentence."""
    if told.found is None or told.found.what != "sentence":
        return told
    for key in reversed(told.writers):
        prompt = made.prompts.get(key)
        labels = statements_in(replies.get(key)).get(told.found.text)
        if isinstance(prompt, ViewPrompt) and labels:
            items = {item.label: item.finding for item in prompt.shown}
            ids = {items[label].id for label in labels if label in items}
            said = f"{len(items):,} items and named {', '.join(labels)} for this sentence"
            first = f"the model that wrote it was shown {said}"
            left = f"; {prompt.omitted:,} did not fit its window" if prompt.omitted else ""
            findings = tuple(sorted(map(_marked(ids), told.findings), key=lambda one: one.how != "named"))
            summaries = tuple(_used(one, ids) for one in told.summaries)
            return replace(told, findings=findings, summaries=summaries, ends=(first + left, *told.ends))
    return told


def _marked(ids: Collection[str]) -> Any:
    def mark(one: Ground) -> Ground:
        told = {one.id, *(near.id for near in one.same)}
        return replace(one, how="named") if told & set(ids) else one

    return mark


def _used(one: Said, ids: Collection[str]) -> Said:
    return replace(one, used=any(id_.partition(":")[0] == one.id for id_ in ids))
