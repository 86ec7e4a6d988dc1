"""The experiments as a plan that is code: a baseline, chains of experiments side by side, and the trial of each.

Each experiment is an order; what is finished leads to the next of its chain. A proposer, a model or `propose`,
changes the one editable file in a worktree of its own; the trial measures what would land, in a checkout of
exactly that, and decides whether it does. Nothing that a proposer says or commits takes part in the decision:
the command, the pattern and the measure to beat are held here, and the ledger is outside the repository. This
module knows no model and no git.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarm.equipment import Tool
from swarm.experiments.knobs import Move, blank, digest_of, moves_between, moves_in, told, turned
from swarm.experiments.ledger import Ledger, Row, one_line, row_of
from swarm.experiments.measure import Measured, Once, Runs, Yardstick, measure, run_once, size_of
from swarm.experiments.mutate import Outcome, Proposal, propose
from swarm.experiments.plot import plot
from swarm.orders import Order
from swarm.program import Checkout, Done, Piece, Place, Ruling
from swarm.task import Report

BASELINE, EXPERIMENT = "baseline", "experiment"
"""The names of the roles, and what orders are called."""
_ATTEMPT = 1_000_003  # what is proposed in a second attempt is drawn as if it were another experiment


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What is held fixed over all experiments. `command` prints the metric, which `yard` finds; `seconds` is the
    time budget of one run. A win counts after `replicates` more. The baseline has the number `begin`;
    experiments have those after it, up to `last` (None: no end). After `patience` experiments without a win
    there is a plateau. A model may mend what crashed `repairs` times."""

    edit: str
    command: str
    yard: Yardstick
    seconds: float
    replicates: int = 2
    proposers: int = 1
    begin: int = 0
    last: int | None = None
    patience: int = 12
    repairs: int = 0


class Lab:
    """What the functions of the program share: the setup, the ledger, and what is under way. `read` tells the
    editable file as a commit has it. With a `picture` the best so far is drawn there after each experiment; `tell`
    hears what came of it, in a line."""

    def __init__(
        self,
        setup: Setup,
        ledger: Ledger,
        read: Callable[[str], Awaitable[str | None]],
        picture: Path | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.setup, self.ledger, self._picture, self._tell = setup, ledger, picture, tell
        self._read = read
        self._under_way: set[str] = set()  # digests of what is proposed and not measured yet
        self._repaired: Counter[int] = Counter()
        self._moves: dict[int, tuple[Move, ...]] = {}  # of experiments that may have to be put upon another text
        self._looked: dict[str, Once] = {}  # first runs of what the built-in proposer wrote, by digest

    # The plan

    def orders(self) -> Iterator[Order]:
        objective = f"Measure {self.setup.edit} as it is, before anything is tried"
        yield Order(name=BASELINE, objective=objective, role=BASELINE)

    def follow(self, order: Order, report: Report) -> Iterator[Order]:
        """What was measured goes into the ledger, and leads to the next of its chain."""
        setup, number = self.setup, self._number(order)
        said = _data(report.result)
        self._settle(number, report)
        begin = order.name == BASELINE
        for next_ in range(number + 1, number + setup.proposers + 1) if begin else (number + setup.proposers,):
            if setup.last is None or next_ <= setup.last:
                yield self._order(next_, order.name, said)

    def _order(self, number: int, before: str, said: Mapping[str, Any]) -> Order:
        setup, name = self.setup, self.setup.yard.name
        way = "lower" if setup.yard.better == "min" else "higher"
        lines = [f"Experiment {number}: make one change to {setup.edit} that makes {name} {way}."]
        if said.get("best") is not None:
            lines.append(f"The best so far is {name} {said['best']:.6g}.")
        if (since := said.get("since") or 0) >= setup.patience:
            lines.append(
                f"This is a plateau: nothing was kept for {since} experiments. Go another way: look again at what "
                "nearly won and combine it, question what nobody has touched yet, or try something bolder."
            )
        return Order(name=f"{EXPERIMENT} {number}", objective=" ".join(lines), needs=(before,), role=EXPERIMENT)

    def _number(self, order: Order) -> int:
        return self.setup.begin if order.name == BASELINE else int(order.name.rpartition(" ")[2])

    def _settle(self, number: int, report: Report) -> None:
        row = row_of(report.result) or self.ledger.row(number)
        row = row or Row(
            number=number,
            status="discard",
            description=one_line(report.summary or report.result) or "changed nothing",
        )
        if not row.description:
            row = replace(row, description=report.summary)
        self.ledger.put(row)
        self.ledger.confirm(number)
        self._under_way.discard(row.file)
        if self._tell is not None:
            self._tell(f"{number}: {self._said(row, '')}")
        if self._picture is not None:
            self._picture.write_text(plot(self.ledger, self.setup.yard), "utf-8")

    # The baseline

    async def baseline(self, piece: Piece) -> Done:
        """Measure what is there, in full."""
        place = await piece.place()
        text = (place.path / self.setup.edit).read_text("utf-8")
        row = self.ledger.row(self.setup.begin)
        if row is None:
            measured = await self._measured(place, text, first=True)
            if measured.way != "ok":
                failure = f"the baseline does not measure anything ({measured.way}): {measured.why}"
                return Done(result="", failure=failure)
            row = self._row(self.setup.begin, text, measured, commit=_base(place))
            row = replace(row, status="baseline", description="as it was")
            self.ledger.put(row)
        said = self._said(row, "")
        return Done(result=self._result(row, said), summary=said, claims=((said, said),))

    # Experiments

    async def propose(self, piece: Piece) -> Done:
        """The built-in proposer: turn constants in the worktree."""
        number = self._number(piece.order)
        if (row := self.ledger.row(number)) is not None:  # measured before the process died
            said = self._said(row, "")
            return Done(result=self._result(row, said), summary=row.description, claims=((said, said),))
        place = await piece.place()
        path = place.path / self.setup.edit
        text = await self._read(_base(place))  # what stands there may be a conflict, or left by who was killed
        text = path.read_text("utf-8") if text is None else text
        proposal = self._same_again(number, text) or propose(
            text,
            self._history(),
            number=number + _ATTEMPT * piece.attempt,
            plateau=self.ledger.since // self.setup.patience,
            tried=lambda new: self._known(digest_of(new)),
        )
        if proposal is None:
            why = f"no constant of {self.setup.edit} is left to be turned: every neighbour was tried"
            return Done(result="", failure=why)
        self._moves[number] = proposal.moves
        file = digest_of(proposal.text)
        self._under_way.add(file)
        path.write_text(proposal.text, "utf-8")
        # here nobody waits for the others, who can only land one after the other
        self._looked[file] = await self._look(place)
        description = told(proposal.moves)
        return Done(result=description, summary=description)

    def _same_again(self, number: int, text: str) -> Proposal | None:
        """What was proposed already, upon what landed meanwhile."""
        moves = self._moves.get(number, ())
        changed = turned(text, {move.name: move.new for move in moves})
        if changed == text or self._known(digest_of(changed)):
            return None
        return Proposal(text=changed, moves=moves_between(text, changed))

    async def _look(self, place: Place) -> Once:
        setup = self.setup
        return await run_once(place, setup.command, setup.yard, seconds=setup.seconds, seed=0)

    def _known(self, file: str) -> bool:
        return file in self._under_way or self.ledger.tried(file) is not None

    def _history(self) -> Iterator[Outcome]:
        for row in self.ledger:
            if moves := moves_in(row.description):
                yield Outcome(moves, row.status == "keep", row.metric is not None)

    async def trial(self, checkout: Checkout, order: Order) -> Ruling:
        """Measure what would land, and keep it where it is better than what it would land upon."""
        setup, ledger, number = self.setup, self.ledger, self._number(order)
        ledger.arrived(checkout.base)
        others = [path for path in await checkout.changed() if path != setup.edit]
        if others:
            wrong = f"only {setup.edit} may be changed, and this changes {', '.join(others[:5])}: undo that"
            return Ruling(lands=False, wrong=wrong)
        text = (checkout.path / setup.edit).read_text("utf-8", "replace")
        file = digest_of(text)
        row = ledger.row(number)
        if row is not None and row.file == file and not row.landed:  # measured before the process died
            return self._ruling(row, "")
        twin = ledger.tried(file)
        if twin is not None and twin.number != number:
            row = Row(number=number, status="discard", file=file, description=f"the same as number {twin.number}")
            ledger.put(row)
            return self._ruling(row, "")
        measured = await self._measured(checkout, text)
        if measured.way != "ok" and self._repaired[number] < setup.repairs:
            self._repaired[number] += 1
            return Ruling(lands=False, wrong=f"it does not run ({measured.way}); mend it: {measured.why}")
        row = self._row(number, text, measured, commit=checkout.commit if measured.better else "")
        before = await self._read(checkout.base)
        row = replace(row, description=told(moves_between(before, text)) if before is not None else "")
        ledger.put(row, before=measured.better)
        return self._ruling(row, measured.why)

    async def _measured(self, place: Runs, text: str, *, first: bool = False) -> Measured:
        setup, ledger = self.setup, self.ledger
        return await measure(
            place,
            setup.command,
            setup.yard,
            seconds=setup.seconds,
            replicates=setup.replicates,
            bar=None if first else ledger.bar,
            size=_size(text),
            spread=ledger.spread,
            look=self._looked.pop(digest_of(text), None),
        )

    def _row(self, number: int, text: str, measured: Measured, *, commit: str) -> Row:
        lines, chars = _size(text)
        return Row(
            number=number,
            commit=commit,
            metric=measured.value,
            replicates=len(measured.values),
            status="keep" if measured.better else "discard" if measured.way == "ok" else measured.way,
            seconds=measured.seconds,
            lines=lines,
            chars=chars,
            file=digest_of(text),
            values=measured.values,
        )

    # What is told

    def _ruling(self, row: Row, why: str) -> Ruling:
        said = self._said(row, why)
        return Ruling(lands=row.status == "keep", result=self._result(row, said), claims=((said, said),))

    def _result(self, row: Row, said: str) -> str:
        """The row as the result of its slice, with what the next order is to say."""
        best, since = self.ledger.best, self.ledger.since
        value = row.metric if row.landed else best.metric if best is not None else None
        return row.as_json(said=said, best=value, since=0 if row.landed else since)

    def _said(self, row: Row, why: str) -> str:
        """What came of an experiment, in a sentence for everyone."""
        name = self.setup.yard.name
        what = row.description or f"{EXPERIMENT} {row.number}"
        came = f"gave {name} {row.metric:.6g}" if row.metric is not None else "measured nothing"
        ends = {"keep": "kept", "discard": "discarded", "crash": "it crashed", "timeout": "it took too long"}
        end = ends.get(row.status, "the baseline")
        about = one_line(why)
        text = f"{what} {came}: {end}{f', {about}' if about else ''}"
        return text.replace('"', "'").replace("\\", "/")

    def account(self, _results: Mapping[str, str] | None = None) -> str:
        """What came of everything, for a person."""
        rows, name = list(self.ledger), self.setup.yard.name
        counts = Counter[str](row.status for row in rows)
        tried = len(rows) - counts["baseline"]
        said = [
            f"{tried} experiment{'s' if tried != 1 else ''}: {counts['keep']} kept, {counts['discard']} discarded"
        ]
        broken = (("crash", "crashed"), ("timeout", "too slow"))
        said += [f"{counts[way]} {word}" for way, word in broken if counts[way]]
        lines = [", ".join(said) + "."]
        first = next((row for row in rows if row.status == "baseline"), None)
        best = self.ledger.best
        if first is not None and best is not None and first.metric is not None and best.metric is not None:
            lines.append(f"{name} went from {first.metric:.6g} to {best.metric:.6g}.")
        lines += [
            f"- {row.number}: {row.description} ({name} {row.metric:.6g}, {row.commit[:10]})"
            for row in rows
            if row.status == "keep"
        ]
        return "\n".join(lines)

    def tool(self) -> Tool:
        """The ledger as a tool for a model that proposes."""

        async def experiments(arguments: Mapping[str, Any]) -> str:
            return self.ledger.table(max(1, int(arguments.get("last") or 40)))

        last = {"type": "integer", "description": "How many of the latest; 40 by default."}
        return Tool(
            name="experiments",
            description="What was tried so far and what came of it, one experiment a line, the latest last. Look "
            "here before you propose anything.",
            parameters={"type": "object", "properties": {"last": last}},
            call=experiments,
            changes=False,
        )


def _base(place: Place) -> str:
    """The commit that a worktree began from, where it tells."""
    return str(getattr(place, "base", ""))


def _size(text: str) -> tuple[int, int]:
    """What there is to understand in a file: a constant is as simple at one value as at another."""
    return size_of(blank(text))


def _data(result: str) -> dict[str, Any]:
    try:
        found = json.loads(result)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


__all__ = ["BASELINE", "EXPERIMENT", "Lab", "Setup"]
