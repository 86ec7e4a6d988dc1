"""A run that nobody worked, written into a store record by record through the doors that runs use: of any size, in
any state, at any pace. For tests, benchmarks and pictures of what looks into runs; whatever it says is SIMULATED.

    async with Stage(path, Script(findings=2_000, left=20)) as stage:
        await stage.open()
        await stage.work(12)         # slices, of which each leaves its findings
        await stage.end()

It tells of mills: sources of one line for each finding, a few findings that contradict, some that a reader failed
to find, summaries, and an answer whose sentences rest on findings. A `hostile` one has texts that try to run in
whatever shows them.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from swarm.coordinator.records import (
    ANSWER,
    REPORT,
    SUMMARY,
    Plan,
    corpus_entry,
    halves_entry,
    make_slice,
    plan_entry,
)
from swarm.graph.cover import due
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import digest, finding_id, summary_id
from swarm.graph.nodes import Part, Statement, Summary
from swarm.models.base import Completion
from swarm.prompts.replies import PlanReply
from swarm.source import Corpus, Skip, Source, Span
from swarm.sources.kept import keep
from swarm.store.database import Database
from swarm.store.journal import Entry, Intent
from swarm.store.library import Library
from swarm.store.sqlite import SqliteJournal
from swarm.task import Answer, Citation, Coverage, Finding, Limits, Report, Slice, Task, Usage
from swarm.task import Statement as Sentence

HOSTILE = (
    '</script><script>window.taken=1</script><img src=x onerror="window.taken=1">'
    "{{7*7}}[x](javascript:window.taken=1)\x1b]0;taken\x07[red]"
)
"""Planted in every text of a hostile run."""
QUESTION = "Which mills were rebuilt, and what drove them?"
MODEL, READER = "openai:staged-large", "openai:staged-small"
_WINDOW = 32_768
_LINE_TOKENS = 18
_TOGETHER = 64  # slices that are written at once
_DAY = 1_790_000_000.0  # seconds since the epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """What is staged. `left` slices are planned and not worked by `stage`; `seconds` is what one call takes on the
    run's clock, in which nobody waits."""

    findings: int = 200
    each: int = 20
    """Findings of a slice."""
    places: int = 8
    left: int = 0
    failing: int = 1
    """Slices that fail."""
    seconds: float = 2.0
    machines: tuple[str, ...] = ()
    """The hosts of machines that work the slices by turns; none: the process of the run does."""
    lost: int = 0
    """Slices whose machine was lost halfway, so that the next one took them over; the last ones."""
    hostile: bool = False
    run: str = "staged"
    begun: float = _DAY


class Stage:
    """A store that is held open while a run is staged in it."""

    def __init__(self, path: Path, script: Script) -> None:
        self.script, self.path = script, path
        self.database = Database.open(path)
        self.now = script.begun
        self.journal = SqliteJournal(self.database, lambda: self.now)
        self.graph = SharedGraph(self.database, script.run)
        self.library = Library(self.database)
        self.slices: list[Slice] = []
        self.sources: list[Source] = []
        self.done = 0
        self._lines: dict[str, list[tuple[Span, str]]] = {}

    async def __aenter__(self) -> Stage:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store, as a process that ends, however it ends."""
        self.journal.close()
        self.database.close()

    async def open(self) -> None:
        """Begin the run: task, session, corpus and plan."""
        script, run = self.script, self.script.run
        self.journal.hold(run)
        planned = -(-script.findings // script.each) + script.left
        self.slices = list(self._slices(planned))
        corpus = Corpus(
            sources=tuple(self.sources),
            skipped=(Skip(source="mills/plate.png", reason="not text: image/png", bytes=48_211),),
        )
        limits = Limits(cost_usd=5.0, calls=10_000_000, requests_per_minute=4_000)
        task = Task(questions=(self._text(QUESTION),), paths=("mills",), limits=limits)
        facts = {"revision": "1", "selective": False, "window": _WINDOW, "max_output": 4_096, "base_url": None}
        session = {
            "model": MODEL, "reader": READER, "window": _WINDOW, "concurrency": script.places, "base_url": None,
            "facts": {"model": {"name": MODEL, **facts}, "reader": {"name": READER, **facts}},
            "limits": asdict(limits), "places": script.places, "host": socket.gethostname(), "pid": os.getpid(),
            "version": "0.1.0",
        }  # fmt: skip
        plan = Plan(
            round=1, slices=tuple(self.slices), advice=PlanReply(queries=["mills"], reading="Years."),
            budget=24_000, most=96,
        )  # fmt: skip
        await self._append(
            Entry(kind="task", key="", body={"task": asdict(task)}),
            Entry(kind="session", key="1", body=session),
            corpus_entry(corpus),
        )
        await self._call("plan", MODEL, "plan", 2_400, self.now, 1.0)
        self.now += 1.0
        await self._append(plan_entry(plan, corpus))

    async def work(self, most: int | None = None) -> int:
        """Work the next slices, so many at the most or all but those that are left; how many were."""
        enough = len(self.slices) - self.script.left if most is None else min(len(self.slices), self.done + most)
        free = [self.now] * self.script.places
        before = self.done
        while self.done < enough:
            together = range(self.done, min(enough, self.done + _TOGETHER))
            async with asyncio.TaskGroup() as group:
                for place in together:
                    lane = min(range(len(free)), key=free.__getitem__)
                    took = self.script.seconds * (1 + (place * 7 % 11) / 5)
                    group.create_task(self._slice(place, free[lane], took))
                    free[lane] += took
            self.done = together.stop
        self.now = max(free)
        return self.done - before

    async def begin_call(self, place: int) -> None:
        """Have a slice that is not worked be at work, and stay so."""
        await self._begin(self.slices[place].id, READER, "read", 9_000, self.now, number=90_000 + place)

    async def fail(self, place: int, reason: str, at: float) -> None:
        """A slice that could not be worked."""
        slice_ = self.slices[place]
        report = Report(slice=slice_.id, question=slice_.question, failure=reason)
        body = REPORT.dump_json(report, exclude_defaults=True)
        self.now = at
        await self._append(Entry(kind="failure", key=f"{slice_.id}:1", body=body), also=(slice_, report))

    async def summarise(self) -> None:
        """Write the summaries of all groups, level by level."""
        for level in range(1, 20):
            groups = due(self.graph, level, 0, 0)
            for group in groups:
                statements = tuple(Statement(text=row.text, rests_on=(row.id,)) for row in group.children[:3])
                covers = tuple(sorted(row.id for row in group.children))
                id_ = summary_id(level, covers, (one.text for one in statements))
                summary = Summary(id=id_, level=level, statements=statements, covers=covers)
                entry = Entry(kind="summary", key=id_, body=SUMMARY.dump_json(summary))
                await self._append(entry, also=(summary,))
            if not groups:
                return

    async def end(self, *, stopped: str | None = None) -> Answer:
        """Write the answer, and let go of the run."""
        await self._call("finish", MODEL, "answer", 21_000, self.now, 3.0)
        self.now += 3.0
        best = self.graph.best(6)
        citations = [
            Citation(
                source=where.path, source_id=span.source, start=span.start, end=span.end,
                quote=self.library.text(span), line=where.line,
            )
            for span in (finding.evidence[0] for finding in best)
            for where in (self.library.locate(span, self._path(span.source)),)
        ]  # fmt: skip
        statements = tuple(
            Sentence(text=finding.claim, citations=(number,)) for number, finding in enumerate(best)
        )
        read = sum(slice_.chars for slice_ in self.slices[: self.done])
        total = sum(source.chars for source in self.sources)
        answer = Answer(
            run_id=self.script.run, status="partial" if stopped else "answered",
            text=" ".join(one.text for one in statements), short=None, statements=statements,
            citations=tuple(citations), cells=(), contradictions=(), findings=len(self.graph), rejected_quotes=0,
            coverage=Coverage(
                sources=len(self.sources), chars_total=total, chars_read=read, chars_unread=total - read
            ),
            window_limit=_WINDOW, window_peak=29_000, usage=self.journal.spent(self.script.run),
            slices=self.done, rounds=1, failures=(), stopped=stopped, graph=self.graph.fingerprint(),
            elapsed_seconds=self.now - self.script.begun,
        )  # fmt: skip
        await self._append(Entry(kind="answer", key="1", body=ANSWER.dump_json(answer)))
        self.journal.let_go(self.script.run)
        return answer

    # What it is made of

    def _text(self, text: str) -> str:
        return f"{text} {HOSTILE}" if self.script.hostile else text

    def _path(self, source: str) -> str:
        return next(one.path for one in self.sources if one.id == source)

    def _slices(self, planned: int) -> Iterator[Slice]:
        """Ten slices a source, a line a finding."""
        each = self.script.each
        for number, first in enumerate(range(0, planned, 10)):
            lines: list[str] = []
            for place in range(first, min(planned, first + 10)):
                lines += [self._line(place * each + n) for n in range(each)]
            text = "\n\n".join(lines) + "\n"
            path = f"mills/volume-{number + 1:04}.md"
            source = keep(self.library, text, self._text(path) if self.script.hostile else path)
            self.sources.append(source)
            at, begin = 0, 0
            spans: list[tuple[Span, str]] = []
            for n, line in enumerate(lines, 1):
                spans.append((Span(source.id, at, at + len(line)), line))
                at += len(line) + 2
                if n % each == 0 or n == len(lines):
                    end = min(at, len(text))
                    made = make_slice(self._text(QUESTION), (Span(source.id, begin, end),), _LINE_TOKENS * each)
                    self._lines[made.id] = spans
                    begin, spans = end, []
                    yield made

    def _line(self, n: int) -> str:
        drives = ("water", "wind", "steam", "a horse", "electricity")
        return self._text(f"Mill {n} was rebuilt in {1700 + n * 13 % 250} and driven by {drives[n % 5]}.")

    async def _slice(self, place: int, at: float, took: float) -> None:
        """Work one slice from a moment on, for so many seconds."""
        slice_, script = self.slices[place], self.script
        tokens = 6_000 + place * 37 % 20_000
        if place == 3:
            await self._failed_try(slice_.id, at)
        if script.machines:
            at, took = await self._placed(place, at, took)
        await self._call(slice_.id, READER, "read", tokens, at, took, cached=place % 3 * 1_000)
        if place < script.failing:
            said = self._text("the reply to the read prompt is not valid: findings: Field required")
            await self.fail(place, said, at + took)
            return
        report = Report(
            slice=slice_.id, question=slice_.question, summary=self._text("Mills and what drove them."),
            findings=tuple(self._finding(place * script.each + n, span, line)
                           for n, (span, line) in enumerate(self._lines[slice_.id])),
            rejected=(self._text("a quote that stands nowhere"),) if place % 9 == 4 else (),
        )  # fmt: skip
        ids = {span.source for finding in report.findings for span in finding.evidence}
        cited = [source for source in self.sources if source.id in ids]
        body = REPORT.dump_json(report, exclude_defaults=True)
        self.now = at + took
        await self._append(Entry(kind="report", key=slice_.id, body=body), also=(slice_, *cited, report))

    async def _placed(self, place: int, at: float, took: float) -> tuple[float, float]:
        """A machine begins a slice; from when on, and for how long, it is at it in the end."""
        id_, taken_over = self.slices[place].id, place >= len(self.slices) - self.script.left - self.script.lost
        for number in range(1 + taken_over):
            host = self.script.machines[(place + number) % len(self.script.machines)]
            body = {"machine": machine_id(host), "host": host}
            self.now = at + number * took / 2
            await self._append(Entry(kind="placed", key=f"{id_}:{2 * place + number + 1}", body=body))
        left = took / 2 if taken_over else took
        return at + took - left, left

    def _finding(self, n: int, span: Span, line: str) -> Finding:
        """Every 25th says of the mill before it what another says otherwise."""
        mill = n - 1 if n % 25 == 24 else n
        year = str(1700 + n * 13 % 250)
        subject, year = self._text(f"Mill {mill}"), str(1700 + n * 13 % 250)
        return Finding(
            id=finding_id(line, subject, "rebuilt", year), claim=line, evidence=(span,), subject=subject,
            attribute="rebuilt", value=year, relevance=round(1 - n % 97 / 100, 3),
        )  # fmt: skip

    async def cut(self, place: int) -> None:
        """Split a slice that is not worked yet into two."""
        slice_ = self.slices[place]
        (span,) = slice_.spans
        middle = (span.start + span.end) // 2
        halves = [((span._replace(end=middle),), 60), ((span._replace(start=middle),), 60)]
        await self._append(halves_entry("split", slice_, halves))

    async def _append(self, *entries: Entry, also: tuple[Part, ...] = ()) -> None:
        await self.journal.append(self.script.run, *entries, also=self.graph.change(*also) if also else None)

    async def _call(
        self, asker: str, model: str, kind: str, tokens: int, at: float, took: float, *, cached: int = 0
    ) -> None:
        key = await self._begin(asker, model, kind, tokens, at)
        usage = Usage(
            calls=1, input_tokens=tokens - 1_000, output_tokens=300, cached_tokens=cached,
            cost_usd=round(tokens * (2e-6 if model == MODEL else 1e-7), 6),
        )  # fmt: skip
        self.now = at + took
        await self.journal.finish_call(self.script.run, key, Completion(text='{"findings": []}', usage=usage))

    async def _failed_try(self, asker: str, at: float) -> None:
        key = await self._begin(asker, READER, "read", 6_000, at, number=80_000)
        said = self._text("Unavailable: the provider answered 529: overloaded")
        self.now = at + 0.4
        await self.journal.fail_call(self.script.run, key, said, Usage())

    async def _begin(
        self, asker: str, model: str, kind: str, tokens: int, at: float, number: int | None = None
    ) -> str:
        key = digest("call", self.script.run, asker, kind, number)[1:]
        intent = Intent(
            run=self.script.run, key=key, model=model, kind=kind, tokens=tokens, cost_usd=0.05, asker=asker,
            window=_WINDOW, begun=at,
        )  # fmt: skip
        await self.journal.begin_call(intent)
        return key


def machine_id(host: str) -> str:
    """What a machine is called that works slices of a staged run."""
    return f"{host}-4711"


async def staged(path: Path, script: Script | None = None, *, over: bool = True) -> str:
    """Stage a run in the store at `path`, and let go of the store; its id. One that is not `over` looks as if its
    process had died."""
    async with Stage(path, script or Script()) as stage:
        await stage.open()
        await stage.work()
        await stage.summarise()
        if over:
            await stage.end()
        return stage.script.run
