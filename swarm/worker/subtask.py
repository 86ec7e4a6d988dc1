"""A part of a piece that a sub-agent hands on: what is asked of it, and what comes back.

Its conclusion comes back, with what it found and wrote. Its work does not: that is kept under names that the
conclusion tells, and what its tools gave can be quoted all the same. After Luo et al. 2025, "Beyond Context
Limits: Subconscious Threads for Long-Horizon Reasoning", where the work of a subtask leaves the working memory
once it is concluded. Pure: it asks and runs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from swarm.prompts.replies import WorkReply
from swarm.prompts.typed import WorkPrompt

_LISTED_CHARS = 120  # of each result, where the work of a subtask is listed
_FINDINGS, _ARTIFACTS = 24, 12


def part_of(base: WorkPrompt, objective: str, ref: str) -> WorkPrompt:
    """What whoever works a part is given. How the whole piece is to be handed in does not hold for a part."""
    return replace(
        base,
        objective=objective,
        basis=(*base.basis, ref, objective),
        done_when="",
        boundaries=f"All but this part; the piece it is a part of: {base.objective}",
        passages=(),
        more=0,
        schema="",
        notes="",
        wrong="",
        leg=0,
        legs=1,
    )


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part that was worked. `ref` names the call that handed it on, `given` is what tools gave, by the names of
    the calls, each of which ends with the name under which it is kept."""

    ref: str
    reply: WorkReply
    steps: int
    given: Mapping[str, str]

    @cached_property
    def _written(self) -> dict[str, tuple[str, str]]:
        """What it wrote that is too long for a result: name and text, by the name under which it is kept."""
        made = self.reply.artifacts[:_ARTIFACTS]
        return {f"{self.ref}/made.{n}": (one.name, one.text) for n, one in enumerate(made) if one.text.strip()}

    @cached_property
    def all_given(self) -> dict[str, str]:
        """What may be quoted from it."""
        return {**self.given, **{f"{name} ({at})": text for at, (name, text) in self._written.items()}}

    def kept(self) -> dict[str, str]:
        """What is kept of it beside what its tools gave."""
        work = "\n".join(f"{name}: {' '.join(text[:_LISTED_CHARS].split())}" for name, text in self.given.items())
        return {f"{self.ref}/work": work, **{at: text for at, (_, text) in self._written.items()}}

    def conclusion(self) -> str:
        """What whoever handed it on is told."""
        reply = self.reply
        if reply.status == "done":
            said = reply.result
        else:
            said = f"It was not done ({reply.status}): {reply.notes or reply.summary or reply.result}"
        found = [f'- {one.claim} ("{one.quote}")' for one in reply.findings[:_FINDINGS]]
        wrote = [f'- {name}: read_result, ref "{at}"' for at, (name, _) in self._written.items()]
        parts = [said]
        parts += ["It found, in words that you may quote:\n" + "\n".join(found)] if found else []
        parts += ["It wrote:\n" + "\n".join(wrote)] if wrote else []
        steps = f"{self.steps} step{'s' if self.steps != 1 else ''}"
        parts.append(f'(Its work, {steps}, is kept: read_result, ref "{self.ref}/work", lists it.)')
        return "\n\n".join(parts)


def names_in(given: Iterable[str]) -> str:
    """The names of what was given, as they are kept."""
    return json.dumps(list(given), ensure_ascii=False)


def refs_of(names: str) -> list[tuple[str, str]]:
    """Each of the names that were kept, with the name under which what was given is kept."""
    return [(name, name.rpartition("(")[2].removesuffix(")")) for name in json.loads(names)]
