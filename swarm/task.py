"""The words of a task, from what the user asks to what comes back.

Plain frozen data: no behaviour beyond small sums, no input or output. See `docs/architecture.md` for the
vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from swarm.cards import answer_card, estimate_card
from swarm.display import Displayed
from swarm.orders import Order
from swarm.source import Corpus, Skip, Span

Slicing = Literal["window", "source", "record"]
"""How a corpus is cut: to fill the reader's window, one slice an input, or one slice a record."""

Output = Literal["answer", "digest", "table", "graph"]
"""What is made of the findings: an answer, a digest of a given length, a table of items by questions, or nothing,
where the shared graph is all that is wanted."""

Mode = Literal["read", "work"]
"""What a run does: it reads a corpus for questions, or works towards a goal by a plan of slices."""

Status = Literal["answered", "partial", "no_evidence"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a run may spend, or one slice of it. None means no limit, but for dollars. All but the speeds, `depth`
    and `rounds` are checked before a call is sent, at the most that the call can come to."""

    cost_usd: float | None = None
    """None: not said; a run with a model that costs money then gets the default limit. `math.inf`: no limit."""
    tokens: int | None = None
    """Input and output tokens of all calls together."""
    calls: int | None = None
    wall_seconds: float | None = None
    """Counted from when a run begins or goes on: one that is resumed gets them anew."""
    slices: int | None = None
    """Slices that are worked in a run, all of those that they are cut into included."""
    depth: int = 8
    """How often a slice may be cut into halves, because it was too long or had more to say, and how many planners
    may stand above one another. 0: never, and none but the first."""
    rounds: int | None = None
    """Passes of the coordinator's loop: of reading, of which the first reads the corpus and later ones follow what
    was found (None: 3); of work, how often one planner may plan (None: 100, and measures of progress end it long
    before)."""
    requests_per_minute: int | None = None
    """Calls sent to providers in any 60 seconds; calls wait, none is refused. So with the next two."""
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    each_slice: Limits | None = None
    """What one slice, with all that it is cut into, may spend of the above: its dollars, tokens, calls and
    seconds. A slice that reaches one of them fails, and the run goes on. Its seconds are counted from when it is
    begun, pauses left out, and end a call that is on its way, which then counts at the most that it can have come
    to. When a run goes on after a stop, a slice that was under way begins with all of it again."""
    cost_is_default: bool = False
    """True where nobody said `cost_usd` and it is the default: set by `swarm.limits.budget.effective`."""

    def left(self, spent: Usage) -> Limits:
        """What is left of dollars, tokens and calls when that is spent."""
        return replace(
            self,
            cost_usd=None if self.cost_usd is None else max(0.0, self.cost_usd - spent.cost_usd),
            tokens=None if self.tokens is None else max(0, self.tokens - spent.tokens),
            calls=None if self.calls is None else max(0, self.calls - spent.calls),
        )

    def beyond(self, spent: Usage) -> Limits:
        """As much on top of what is spent: for a run that counts what it has spent before."""
        return replace(
            self,
            cost_usd=None if self.cost_usd is None else self.cost_usd + spent.cost_usd,
            tokens=None if self.tokens is None else self.tokens + spent.tokens,
            calls=None if self.calls is None else self.calls + spent.calls,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What the user asked for.

    `questions` holds one question for an answer, what to look for (or nothing) for a digest or a graph, the checks
    of a table, and the goal of one that is worked. `paths` are files, folders, globs, or `-` for standard input;
    work may have none. `words` is the length of a digest. `done_when` says when work is done.
    """

    questions: tuple[str, ...]
    paths: tuple[str, ...]
    output: Output = "answer"
    slicing: Slicing = "window"
    words: int = 400
    limits: Limits = field(default_factory=Limits)
    mode: Mode = "read"
    done_when: str = ""
    check: str = ""
    """Of work: a command of the user's, as a shell would take it but without one, that exits with 0 once it is
    done. It is run in the current folder, with the results that no other slice needs on standard input, as JSON by
    their names; what it says comes before any opinion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """The unit of work for one sub-agent: what to ask, of which spans. `id` is the hash of the rest.

    `tokens` is the size of the spans in o200k tokens. A slice that was too long is succeeded by its halves,
    whose `parent` it is. `item` names what a table has a row for, and is empty elsewhere.

    Of work, `question` is the objective, `order` what was asked for, `needs` the ids of the slices that it begins
    from, `parent` the planner that asked for it, and `depth` how many planners stand above it.
    """

    id: str
    question: str
    spans: tuple[Span, ...]
    tokens: int
    round: int = 1
    parent: str | None = None
    item: str = ""
    order: Order | None = None
    needs: tuple[str, ...] = ()
    depth: int = 0

    @property
    def chars(self) -> int:
        return sum(span.end - span.start for span in self.spans)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One claim and the spans it rests on, sorted. `id` is the hash of the claim and what qualifies it.

    `relevance` is how much it bears on the question, from 0 to 1, as the reader judged. `level` is 0 for what
    was read and higher for what was consolidated from findings, whose ids `covers` then holds.
    """

    id: str
    claim: str
    evidence: tuple[Span, ...]
    relevance: float = 0.5
    subject: str | None = None
    attribute: str | None = None
    value: str | None = None
    unit: str | None = None
    time: str | None = None
    level: int = 0
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Something that was settled, and that those who come later are to go by. `about` are the ids of what it
    rests on; `id` is the hash of both."""

    id: str
    text: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """Something that a sub-agent made, by reference: `name` as a path or a title, `ref` where its content is
    found (the hash of the bytes, a commit). `id` is the hash of the rest."""

    id: str
    name: str
    media: str
    ref: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a sub-agent hands back: never its transcript.

    `rejected` are quotes that were not found in the slice's own text. `echoed` counts findings that only said
    again what the sub-agent had been shown of the graph. `failure` says why a slice could not be worked; its
    findings are then empty. Of work, `result` is what it came to, `proposed` what the sub-agent thinks should be
    done as well, and `votes` and `discarded` how many replies were counted and how many thrown away for their
    form; `legs` is how many sub-agents worked at it, one after the other.
    """

    slice: str
    question: str
    findings: tuple[Finding, ...] = ()
    summary: str = ""
    open_questions: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    echoed: int = 0
    decisions: tuple[Decision, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    failure: str | None = None
    result: str = ""
    proposed: tuple[Order, ...] = ()
    votes: int = 0
    discarded: int = 0
    legs: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What was spent. `cached_tokens` are the part of the input that a provider served from its cache."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )

    def __sub__(self, before: Usage) -> Usage:
        return Usage(
            calls=self.calls - before.calls,
            input_tokens=self.input_tokens - before.input_tokens,
            output_tokens=self.output_tokens - before.output_tokens,
            cached_tokens=self.cached_tokens - before.cached_tokens,
            cost_usd=max(0.0, self.cost_usd - before.cost_usd),  # of two sums, that may differ by a rounding
        )

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """A checkable quotation: `quote` is exactly the text of the source at `start:end` (characters)."""

    source: str
    source_id: str
    start: int
    end: int
    quote: str
    line: int | None = None
    page: int | None = None

    def __str__(self) -> str:
        if self.page is not None:
            return f"{self.source}:p{self.page}"
        return f"{self.source}:{self.line}" if self.line is not None else self.source


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One sentence of an answer and the citations it rests on, as indexes into the answer's list."""

    text: str
    citations: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell of a table: what one item says to one question. No citations: the item does not say."""

    item: str
    question: str
    text: str
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Contradiction:
    """Two claims of the sources that cannot both hold, each with its citations as indexes into the answer's
    list, and the ids of their findings."""

    claims: tuple[str, ...]
    citations: tuple[tuple[int, ...], ...]
    findings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The ledger: `chars_read + chars_skipped + chars_unread == chars_total`."""

    sources: int = 0
    chars_total: int = 0
    chars_read: int = 0
    chars_skipped: int = 0
    chars_unread: int = 0
    """In slices that failed or that a limit left undone."""
    skipped: tuple[Skip, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceFailure:
    """A slice that was retried and still failed: listed in the answer, never dropped."""

    slice: str
    spans: tuple[Span, ...]
    reason: str
    name: str = ""
    """Of its order, in a run that works towards a goal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer(Displayed, card=answer_card):
    """What a run comes to. `complete` is false where a limit, a stop or a failure left something undone."""

    run_id: str
    status: Status
    text: str
    short: str | None
    statements: tuple[Statement, ...]
    citations: tuple[Citation, ...]
    cells: tuple[Cell, ...]
    contradictions: tuple[Contradiction, ...]
    """What the sources disagree on and nothing has settled: the first few, where there are many."""
    findings: int
    """Claims that the sub-agents reported; those that say the same are one."""
    rejected_quotes: int
    coverage: Coverage
    window_limit: int
    window_peak: int
    usage: Usage
    slices: int
    rounds: int
    failures: tuple[SliceFailure, ...]
    stopped: str | None
    """Why the run ended early: the limit that was reached, or `interrupted`. None where it did not."""
    graph: str
    """The fingerprint of the shared graph."""
    elapsed_seconds: float
    limit: str | None = None
    """Which limit ended the run early, as it is called in `Limits`; None where none did."""

    @property
    def complete(self) -> bool:
        return self.stopped is None and not self.failures


@dataclass(frozen=True, kw_only=True, slots=True)
class OverLimit:
    """The limit that a run would stop at, as it is called in `Limits`, and the share of the reading that is likely
    done by then, from 0 to 1."""

    limit: str
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate(Displayed, card=estimate_card):
    """What a run, or what is left of one, would come to. `likely` rests on `assumptions`; `most` is what it could
    come to if every reply were as long as can be, every reader had more to say and every reply were asked for
    again: what the limits allow of it is the most that can be spent."""

    slices: int
    likely: Usage
    most: Usage
    minutes: float
    limits: Limits
    spent: Usage
    """By the run so far: counts against its limits."""
    prices: tuple[str, ...]
    """One line for each model: dollars for a million tokens, and of which day."""
    assumptions: tuple[str, ...]
    over_limit: OverLimit | None = None

    @property
    def most_usd(self) -> float:
        """The most dollars that can be spent from now on, under the limit."""
        limit = self.limits.cost_usd
        left = self.most.cost_usd if limit is None else limit - self.spent.cost_usd
        return max(0.0, min(self.most.cost_usd, left))


@dataclass(frozen=True, kw_only=True, slots=True)
class TermStatistics:
    """How often words occur in a corpus: what a ranking needs and a single slice cannot know.

    `frequency` maps a stemmed, lower-case word of the question to the number of passages that hold it.
    """

    passages: int = 0
    mean_tokens: float = 0.0
    frequency: dict[str, int] = field(default_factory=dict)


__all__ = [
    "Answer", "Artifact", "Cell", "Citation", "Contradiction", "Corpus", "Coverage", "Decision",
    "Estimate", "Finding", "Limits", "Mode", "Output", "OverLimit", "Report", "Slice",
    "SliceFailure", "Slicing", "Statement", "Status", "Task", "TermStatistics", "Usage",
]  # fmt: skip
