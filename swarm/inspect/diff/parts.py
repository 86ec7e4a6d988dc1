"""The words of a comparison of two runs, named A and B.

Frozen data that `asdict` turns into JSON; what is listed is cut to a limit, and what is counted is whole unless it
says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm.inspect.why.parts import Near


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What was asked, or with what, where it differs. Empty: not set."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One run in figures. `worked_seconds` are those in which a process was at it. `mean_busy` is how many places
    were busy on average while slices were worked, and `idle_share` what that leaves of `places`, from 0 to 1; None
    where nothing was worked. `fullest` is the largest request in tokens, `fill` and `mean_fill` shares of the
    window (None: not noted). Characters: `read` by slices that were done, `cited` that some finding rests on.
    `contradictions` are open ones of its own, at least, where `more_contradictions`."""

    run: str
    status: str
    why: str
    sources: int
    chars: int
    read: int
    cited: int
    unread: int
    claims: int
    findings: int
    rejected: int
    contradictions: int
    more_contradictions: bool
    sentences: int
    slices: int
    slices_done: int
    slices_failed: int
    rounds: int
    calls: int
    calls_failed: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    worked_seconds: float
    places: int
    mean_busy: float | None
    idle_share: float | None
    window: int
    fullest: int
    fill: float | None
    mean_fill: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """Two sentences that say it in other words, or one of which there is no like. `likeness` is the share of their
    words that both have, from 0 to 1; `same_words_cited` whether both cite one and the same place of a source."""

    a: str
    b: str
    likeness: float
    same_words_cited: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CellPair:
    """One cell of a table, where its texts differ. Empty: the item does not say, or is not in that table."""

    item: str
    question: str
    a: str
    b: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """Cells of both tables; `only_a` are filled in A alone. `some` are some of those that are not the same."""

    same: int
    differ: int
    only_a: int
    only_b: int
    some: tuple[CellPair, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The answers, sentence by sentence and cell by cell. `same` sentences say the same as far as words can tell.
    `uncompared` sentences, of either, are beyond what is compared."""

    short_a: str
    short_b: str
    same: int
    reworded: tuple[Sentence, ...]
    more_reworded: int
    only_a: tuple[str, ...]
    more_only_a: int
    only_b: tuple[str, ...]
    more_only_b: int
    uncompared: int
    cells: Cells


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispute:
    """A finding that only A has and one that only B has, of which one at most holds: another value of the same
    thing at the same time."""

    a: Near
    b: Near


@dataclass(frozen=True, kw_only=True, slots=True)
class OfSource:
    """Claims that rest on one source, and those of them that the other run has from nowhere. Sources of one path
    whose content is not the same are `changed`."""

    path: str
    a: int
    only_a: int
    b: int
    only_b: int
    changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Claims: findings, those that say the same counted once. `same` have a finding of one id in both; `alike_a`
    and `alike_b` say the same as one of the other's in other words. `disputes` are counted, at least, where
    `more_disputes`; prose is not held against prose, since no model is asked."""

    same: int
    alike_a: int
    alike_b: int
    only_a: int
    only_b: int
    some_a: tuple[Near, ...]
    some_b: tuple[Near, ...]
    disputes: int
    more_disputes: bool
    some_disputes: tuple[Dispute, ...]
    sources: tuple[OfSource, ...]
    more_sources: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What was read. `changed` have one path and another content."""

    same: int
    changed: int
    only_a: int
    only_b: int
    some_changed: tuple[str, ...]
    some_a: tuple[str, ...]
    some_b: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CostRow:
    """What calls of one model for one kind of prompt came to, in A and in B."""

    model: str
    kind: str
    calls_a: int
    calls_b: int
    failed_a: int
    failed_b: int
    tokens_a: int
    tokens_b: int
    cost_usd_a: float
    cost_usd_b: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Two runs side by side. `limits` says what could not be compared, and what the figures do not tell."""

    a: Side
    b: Side
    settings: tuple[Setting, ...]
    answers: Answers
    findings: Findings
    sources: Sources
    costs: tuple[CostRow, ...]
    limits: tuple[str, ...] = ()
