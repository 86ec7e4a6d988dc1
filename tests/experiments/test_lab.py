"""Experiments as a plan that is code, in the hands of a coordinator that is played here: no git, no commands."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from swarm.equipment import Bounds, Ran
from swarm.experiments.knobs import digest_of, knobs, moves_between
from swarm.experiments.lab import BASELINE, Lab, Setup
from swarm.experiments.ledger import Ledger, Row
from swarm.experiments.measure import yardstick
from swarm.orders import Order
from swarm.program import Done, Piece, Ruling
from swarm.task import Report

LOSS = yardstick(r"loss: (\S+)")
TEXT = "RATE = 0.01  # range: 0.0001..10\nSIZE = 16  # range: 1..512\n"
SETUP = Setup(edit="train.py", command="evaluate", yard=LOSS, seconds=1, replicates=1, last=8, patience=3)


@dataclass(kw_only=True)
class Tree:
    """A folder with the file in it, as a place and as a checkout; a "command" measures its constants."""

    path: Path
    commit: str = "c1"
    base: str = "c0"
    also: tuple[str, ...] = ()
    runs: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.path / "train.py"

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        self.runs.append(command)
        at = {knob.name: knob.value for knob in knobs(self.file.read_text())}
        if not at or ("SIZE" in at and at["SIZE"] == 13):
            return Ran(exit=1, output="Traceback: boom", output_bytes=15, seconds=0.1)
        loss = abs(math.log2(at["RATE"] / 0.5)) + abs(math.log2(at.get("SIZE", 64) / 64))
        return Ran(exit=0, output=f"loss: {loss}", output_bytes=9, seconds=0.1)

    async def changed(self) -> Sequence[str]:
        return ("train.py", *self.also)


TEXTS: dict[str, str] = {}
"""The file by commits: what a repository knows."""


async def read(commit: str) -> str | None:
    return TEXTS.get(commit)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "tree").mkdir()
    found = Tree(path=tmp_path / "tree")
    found.file.write_text(TEXT)
    TEXTS.clear()
    TEXTS["c0"] = TEXT
    return found


def piece_of(order: Order, tree: Tree, results: dict[str, str] | None = None, attempt: int = 0) -> Piece:
    async def place() -> Tree:
        return tree

    return Piece(
        order=order,
        goal="",
        results=results or {},
        attempt=attempt,
        wrong="",
        known=lambda _question, _tokens: (),
        place=place,
    )


def report_of(order: Order, done: Done, ruling: Ruling | None = None) -> Report:
    result = ruling.result if ruling is not None and ruling.result is not None else done.result
    return Report(slice=order.name, question=order.objective, findings=(), result=result, summary=done.summary)


async def baseline(lab: Lab, tree: Tree) -> list[Order]:
    order = next(lab.orders())
    done = await lab.baseline(piece_of(order, tree))
    assert not done.failure
    return list(lab.follow(order, report_of(order, done)))


async def work(lab: Lab, tree: Tree, order: Order) -> tuple[Ruling, list[Order]]:
    """One experiment to its end: what lands moves the branch on."""
    before = tree.file.read_text()
    done = await lab.propose(piece_of(order, tree))
    assert not done.failure
    ruling = await lab.trial(tree, order)
    if ruling.lands:
        TEXTS[tree.commit] = tree.file.read_text()
        tree.base, tree.commit = tree.commit, f"c{int(tree.commit[1:]) + 1}"
    else:
        tree.file.write_text(before)
    return ruling, list(lab.follow(order, report_of(order, done, ruling)))


async def test_the_baseline_comes_first_and_each_experiment_leads_to_the_next(tmp_path: Path, tree: Tree) -> None:
    told: list[str] = []
    lab = Lab(SETUP, Ledger(tmp_path / "results.tsv", LOSS), read, tmp_path / "best.svg", told.append)
    orders = await baseline(lab, tree)
    assert [order.name for order in orders] == ["experiment 1"]
    names = []
    while orders:
        names.append(orders[0].name)
        _, orders = await work(lab, tree, orders[0])
    assert names == [f"experiment {number}" for number in range(1, 9)]
    rows = list(lab.ledger)
    assert [row.number for row in rows] == list(range(9))
    assert any(row.status == "keep" for row in rows)
    assert lab.ledger.best.metric < rows[0].metric
    assert "<svg" in (tmp_path / "best.svg").read_text()
    assert len(told) == 9
    assert "loss went from" in lab.account()
    assert list(Ledger(tmp_path / "results.tsv", LOSS)) == rows


async def test_proposers_side_by_side_have_chains_of_their_own_and_propose_no_file_twice(tree: Tree) -> None:
    lab = Lab(replace(SETUP, proposers=3, last=7), Ledger(None, LOSS), read)
    orders = await baseline(lab, tree)
    assert [order.name for order in orders] == ["experiment 1", "experiment 2", "experiment 3"]
    seen = []
    for order in orders:  # all of them begin before one of them ends
        tree.file.write_text(TEXT)
        await lab.propose(piece_of(order, tree))
        seen.append(tree.file.read_text())
    assert len(set(seen)) == 3
    tree.file.write_text(seen[0])
    ruling = await lab.trial(tree, orders[0])
    following = list(lab.follow(orders[0], report_of(orders[0], Done(result=""), ruling)))
    assert [order.name for order in following] == ["experiment 4"]
    assert following[0].needs == ("experiment 1",)
    assert (
        list(lab.follow(Order(name="experiment 5", objective="x"), Report(slice="", question="", findings=())))
        == []
    )


async def test_nothing_but_the_editable_file_may_change(tree: Tree) -> None:
    lab = Lab(SETUP, Ledger(None, LOSS), read)
    (order,) = await baseline(lab, tree)
    runs = len(tree.runs)
    tree.also = ("evaluate.py",)
    ruling = await lab.trial(tree, order)
    assert not ruling.lands
    assert "evaluate.py" in (ruling.wrong or "")
    assert len(tree.runs) == runs


async def test_the_measure_to_beat_is_that_of_what_it_would_land_upon(tree: Tree) -> None:
    """Two that both beat the baseline: the second is held against the first once that has landed."""
    lab = Lab(replace(SETUP, proposers=2), Ledger(None, LOSS), read)
    one, two = await baseline(lab, tree)
    tree.file.write_text(TEXT.replace("0.01", "0.4"))
    assert (await lab.trial(tree, one)).lands
    tree.file.write_text(TEXT.replace("0.01", "0.1"))
    other = replace(tree, commit="c2")
    assert (await lab.trial(other, two)).lands  # the first has not landed yet
    moved = replace(tree, commit="c3", base="c1")  # it has, and the trial is asked again
    assert not (await lab.trial(moved, two)).lands
    assert lab.ledger.row(2).status == "discard"


async def test_a_file_that_was_tried_is_not_run_again(tree: Tree) -> None:
    lab = Lab(replace(SETUP, proposers=2), Ledger(None, LOSS), read)
    one, two = await baseline(lab, tree)
    tree.file.write_text(TEXT.replace("0.01", "0.002"))
    assert not (await lab.trial(tree, one)).lands
    runs = len(tree.runs)
    ruling = await lab.trial(tree, two)
    assert (ruling.lands, ruling.wrong, len(tree.runs)) == (False, None, runs)
    assert lab.ledger.row(2).description == "the same as number 1"


async def test_a_crash_goes_into_the_ledger_and_a_model_may_mend_it_first(tree: Tree) -> None:
    lab = Lab(replace(SETUP, repairs=1), Ledger(None, LOSS), read)
    (order,) = await baseline(lab, tree)
    tree.file.write_text(TEXT.replace("16", "13"))
    ruling = await lab.trial(tree, order)
    assert "boom" in (ruling.wrong or "")
    assert lab.ledger.row(1) is None
    ruling = await lab.trial(tree, order)
    assert (ruling.lands, ruling.wrong) == (False, None)
    assert lab.ledger.row(1).status == "crash"
    assert "it crashed" in json.loads(ruling.result or "")["said"]


async def test_a_baseline_that_measures_nothing_fails_and_says_why(tree: Tree) -> None:
    tree.file.write_text("x = [\n")
    done = await Lab(SETUP, Ledger(None, LOSS), read).baseline(piece_of(Order(name=BASELINE, objective="x"), tree))
    assert "boom" in done.failure


async def test_what_was_measured_before_a_kill_is_not_measured_again(tmp_path: Path, tree: Tree) -> None:
    at = tmp_path / "results.tsv"
    lab = Lab(SETUP, Ledger(at, LOSS), read)
    (order,) = await baseline(lab, tree)
    done = await lab.propose(piece_of(order, tree))
    ruling = await lab.trial(tree, order)
    row, runs = lab.ledger.row(1), len(tree.runs)

    again = Lab(SETUP, Ledger(at, LOSS), read)  # another process, from what is on the disk
    again.ledger.arrived(tree.commit)
    (order,) = await baseline(again, tree)
    assert (await again.propose(piece_of(order, tree))).summary == done.summary
    following = list(again.follow(order, report_of(order, done)))  # the ruling was lost with the process
    assert again.ledger.row(1) == row
    assert [order.name for order in following] == ["experiment 2"]
    assert len(tree.runs) == runs
    assert ruling.result is not None


async def test_what_came_of_an_experiment_is_a_claim_in_the_words_of_its_result(tree: Tree) -> None:
    lab = Lab(SETUP, Ledger(None, LOSS), read)
    (order,) = await baseline(lab, tree)
    ruling, _ = await work(lab, tree, order)
    ((claim, quote),) = ruling.claims
    assert "gave loss" in claim
    assert quote in (ruling.result or "")


async def test_a_plateau_is_told_and_comes_from_the_report_alone(tree: Tree) -> None:
    lab = Lab(SETUP, Ledger(None, LOSS), read)
    await baseline(lab, tree)
    row = Row(number=3, metric=9.0, status="discard")
    report = Report(slice="", question="", findings=(), result=row.as_json(said="x", best=2.0, since=3))
    order = Order(name="experiment 3", objective="x")
    (told,) = lab.follow(order, report)
    assert "plateau" in told.objective
    assert "loss 2" in told.objective
    assert list(lab.follow(order, report)) == [told]


async def test_a_conflict_has_the_same_moves_put_upon_what_landed(tree: Tree) -> None:
    lab = Lab(replace(SETUP, proposers=2), Ledger(None, LOSS), read)
    one, two = await baseline(lab, tree)
    await lab.propose(piece_of(two, tree))
    mine = tree.file.read_text()
    tree.file.write_text(TEXT.replace("0.01", "0.4"))
    assert (await lab.trial(tree, one)).lands
    TEXTS[tree.commit] = tree.file.read_text()
    tree.base, tree.commit = tree.commit, "c2"
    lab.ledger.arrived(tree.base)
    list(lab.follow(one, report_of(one, Done(result=""))))
    tree.file.write_text("<<<<<<< marks of a conflict\n")
    done = await lab.propose(piece_of(two, tree, attempt=1))
    text = tree.file.read_text()
    assert "<<<" not in text
    assert not done.failure
    assert digest_of(text) not in {digest_of(TEXT), digest_of(mine)}
    assert "RATE = 0.4" in text or "RATE" in done.result


async def test_what_a_killed_process_left_in_the_worktree_is_not_built_upon(tree: Tree) -> None:
    lab = Lab(SETUP, Ledger(None, LOSS), read)
    (order,) = await baseline(lab, tree)
    tree.file.write_text(TEXT.replace("16", "500"))
    await lab.propose(piece_of(order, tree))
    assert len(moves_between(TEXT, tree.file.read_text())) == 1


async def test_where_no_constant_is_left_the_proposer_says_so(tree: Tree) -> None:
    TEXTS["c0"] = "RATE = 1.0  # range: 1..1\n"
    tree.file.write_text(TEXTS["c0"])
    lab = Lab(SETUP, Ledger(None, LOSS), read)
    (order,) = await baseline(lab, tree)
    assert "no constant" in (await lab.propose(piece_of(order, tree))).failure


async def test_the_ledger_is_a_tool_for_models(tree: Tree) -> None:
    lab = Lab(SETUP, Ledger(None, LOSS), read)
    await baseline(lab, tree)
    assert "as it was" in await lab.tool().call({})
    assert lab.tool().changes is False
