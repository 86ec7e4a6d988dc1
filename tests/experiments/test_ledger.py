"""The ledger: everything that was tried, on the disk before anybody goes by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.experiments.ledger import Ledger, Row, row_of
from swarm.experiments.measure import yardstick

LOSS = yardstick(r"loss: (\S+)")
ROWS = (
    Row(
        number=0,
        commit="a" * 40,
        metric=3.0,
        replicates=2,
        values=(2.9, 3.1),
        status="baseline",
        lines=9,
        chars=90,
    ),
    Row(number=1, metric=3.5, status="discard", file="f1", description="RATE 0.1 → 0.2"),
    Row(number=2, commit="b" * 40, metric=2.0, replicates=2, values=(1.9, 2.1), status="keep", lines=9, chars=91),
    Row(number=3, status="crash", description="tab\tand\nline"),
    Row(number=4, status="timeout", seconds=30.25),
    Row(number=5, commit="c" * 40, metric=2.05, replicates=2, values=(2.0, 2.1), status="keep", lines=8, chars=80),
)


def filled(at: Path | None) -> Ledger:
    ledger = Ledger(at, LOSS)
    for row in ROWS:
        ledger.put(row)
    return ledger


def test_the_rows_come_back_from_the_file(tmp_path: Path) -> None:
    one = filled(tmp_path / "results.tsv")
    other = Ledger(tmp_path / "results.tsv", LOSS)
    assert list(other) == list(one)
    assert other.bar == one.bar
    assert other.row(3).description == "tab and line"
    assert [path.name for path in tmp_path.iterdir()] == ["results.tsv"]


def test_the_bar_is_the_best_measure_and_a_simplification_does_not_lower_it() -> None:
    ledger = filled(None)
    assert ledger.bar is not None
    assert (ledger.bar.value, ledger.bar.runs, ledger.bar.size) == (2.0, 2, (8, 80))
    assert ledger.tip.number == 5
    assert ledger.since == 0
    assert ledger.spread == pytest.approx(0.122, abs=0.001)


def test_what_is_about_to_land_is_on_the_disk_and_nobody_goes_by_it_yet(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "results.tsv", LOSS)
    ledger.put(ROWS[0])
    ledger.put(ROWS[2], before=True)
    assert ledger.bar.value == 3.0
    again = Ledger(tmp_path / "results.tsv", LOSS)
    assert again.bar.value == 3.0
    assert [row.number for row in again.unsettled()] == [2]
    again.arrived("b" * 40)
    assert again.bar.value == 2.0
    assert Ledger(tmp_path / "results.tsv", LOSS).bar.value == 2.0
    ledger.drop(2)
    assert [row.number for row in Ledger(tmp_path / "results.tsv", LOSS)] == [0]


def test_a_later_word_on_an_experiment_takes_the_place_of_the_earlier_one() -> None:
    ledger = filled(None)
    ledger.put(Row(number=1, metric=1.0, commit="d" * 40, status="keep"))
    assert len(ledger) == len(ROWS)
    assert ledger.tip.number == 1
    assert ledger.since == 0


def test_a_plateau_is_counted_from_the_last_that_was_kept() -> None:
    ledger = filled(None)
    for number in range(6, 10):
        ledger.put(Row(number=number, metric=2.5, status="discard"))
    assert ledger.since == 4


def test_a_row_goes_through_json_and_other_results_are_none() -> None:
    for row in ROWS:
        assert row_of(row.as_json(said="so", best=None)) == row
    for text in ("", "{}", "[]", "RATE 0.1 → 0.2", '{"number": 1}', "null"):
        assert row_of(text) is None


@pytest.mark.parametrize("text", ["", "a\tb\n", "HEADER\n1\t2\n", "HEADER\nx" + "\t" * 10 + "\n"])
def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path, text: str) -> None:
    header = filled(None).table().splitlines()[0]
    (tmp_path / "results.tsv").write_text(text.replace("HEADER", header))
    with pytest.raises(UsageError, match=r"results\.tsv"):
        Ledger(tmp_path / "results.tsv", LOSS)
