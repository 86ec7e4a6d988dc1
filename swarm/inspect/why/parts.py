"""The words of a way down: from a sentence of an answer to findings, reports, calls and bytes, and what it cost.

Frozen data that `asdict` turns into JSON; a part names another by its id or key. How a way is found stands in the
modules beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from swarm.task import Usage

What = Literal["sentence", "short", "citation", "cell", "result", "finding", "slice"]
"""`short` is the answer in a few words; `result` a sentence of a text that the program or the plan of a run of
work wrote, of which no citation is recorded."""
How = Literal["named", "same words", "overlapping words", "same meaning", "like words", "itself", "reported"]
"""How a finding was come by: `named` by the model that wrote the sentence (known from its prompt), resting on the
`same words` of a source as a citation, or on words that overlap with those, by what the claim says (`same
meaning`, `like words`), as what was asked for (`itself`), or as `reported` by the slice that was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Something that a text may mean. `place` counts from 0 in the list of the answer that it stands in, and is -1
    elsewhere; `id` is that of a finding or a slice. `likeness` is from 0 to 1."""

    what: What
    name: str
    text: str
    likeness: float = 1.0
    place: int = -1
    id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """The characters `start` to `end` of a source, and what stands around them. `number` is that of the citation,
    from 1, or None. `where` is a path with a line or a page. `held` is false where the store does not hold the
    text: then nothing is around it."""

    number: int | None
    where: str
    source: str
    start: int
    end: int
    text: str
    before: str = ""
    after: str = ""
    held: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Near:
    """A finding beside another."""

    id: str
    claim: str
    where: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """A finding on the way, with what is like it and against it. `likeness` is that of its claim to what was asked
    for; `fields` are its subject, attribute, value, unit and time, where it has them. `slices` and `summaries`
    are ids."""

    id: str
    claim: str
    relevance: float
    how: How
    likeness: float
    fields: dict[str, str]
    quotes: tuple[Quote, ...]
    more_quotes: int
    same: tuple[Near, ...]
    contradicts: tuple[Near, ...]
    supersedes: tuple[Near, ...]
    superseded_by: tuple[Near, ...]
    slices: tuple[str, ...]
    summaries: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a slice was there. `asker` is who decided it, as the journal names them; empty: nobody was asked."""

    text: str
    asker: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A slice on the way, and what it reported. Moments are in seconds since the epoch, None: not yet. `spans` are
    places, of which the first few are told; `chars` is the size of all. `calls` are the keys of its calls, the
    first few; `usage` is that of all of them. `machines` are those that it was on, the last one last."""

    id: str
    name: str
    asked: str
    state: str
    failed: str
    branch: str
    round: int
    begun: float | None
    ended: float | None
    reasons: tuple[Reason, ...]
    spans: tuple[str, ...]
    chars: int
    findings: int
    rejected: int
    summary: str
    needs: tuple[str, ...]
    models: tuple[str, ...]
    calls: tuple[str, ...]
    more_calls: int
    usage: Usage
    machines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A summary that stands between findings and the answer: its sentence that rests on them, how many findings it
    stands for, and the key of the call that wrote it, or empty where none was found. `used` tells whether the text
    was written from it; None: not known without the prompt."""

    id: str
    level: int
    text: str
    findings: int
    call: str = ""
    used: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A prompt as it was made again by a replay, rendered. `proof` says what its key proves; `typed` that the
    model takes prompts as they are typed, and not as this text."""

    text: str
    proof: str
    typed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A call on the way. `shared` ones serve all of the answer, such as its plan. `begun` is in seconds since the
    epoch, of the last try; `fill` is the share of `window` that it was counted to fill; `failure` is why the last
    failed try failed. `prompt` and `reply` are None where they were not asked for or are not to be had."""

    key: str
    asker: str
    who: str
    model: str
    kind: str
    shared: bool
    state: str
    begun: float
    seconds: float
    usage: Usage
    window: int
    counted: int
    fill: float | None
    tries: int
    failure: str
    prompt: Shown | None = None
    reply: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What it cost. `own` are the calls of the slices and summaries on the way, each counted whole, also where it
    found more; `shared` those that served all of the answer, by who asked; `run` is all of the run."""

    own: Usage
    shared: dict[str, Usage]
    run: Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """The way down from one thing. `others` matched as well, or, where `found` is None, came nearest. `ends` says
    where the way ends before it has led to the bytes, and what is not known. `writers` are the keys of the calls
    that wrote the answer."""

    run: str
    asked: str
    found: Match | None
    others: tuple[Match, ...] = ()
    cited: tuple[Quote, ...] = ()
    findings: tuple[Ground, ...] = ()
    more_findings: int = 0
    steps: tuple[Step, ...] = ()
    more_steps: int = 0
    summaries: tuple[Said, ...] = ()
    calls: tuple[Asked, ...] = ()
    writers: tuple[str, ...] = ()
    cost: Share | None = None
    ends: tuple[str, ...] = ()
