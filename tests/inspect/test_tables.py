"""A run as tables: nothing is missing, the sums are those of its history, and no cell runs in a spreadsheet."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from swarm.errors import UsageError
from swarm.history import show
from swarm.inspect.export.files import plain, write_csv, write_folder, write_parquet
from swarm.inspect.export.tables import Column, Table, tables
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.inspect.whole import new_file, new_folder

Read = dict[str, list[dict[str, str]]]


def exported(store: Path, folder: Path, run: str = "last") -> Read:
    with open_run(run, store) as opened:
        written = write_folder(folder, tables(Look(opened)), write_csv)
    read = {}
    for path in folder.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            read[path.stem] = list(csv.DictReader(file))
    assert {name: len(rows) for name, rows in read.items()} == written
    return read


@pytest.fixture(scope="module")
def of_mills(mills: Path, tmp_path_factory: pytest.TempPathFactory) -> Read:
    return exported(mills, tmp_path_factory.mktemp("tables") / "out")


def total(rows: list[dict[str, str]], column: str) -> float:
    return sum(float(row[column] or 0) for row in rows)


def test_the_sums_of_the_tables_are_what_the_history_tells(of_mills: Read, mills: Path) -> None:
    told = show("last", mills)
    usage, answer = told.run.usage, told.answer
    assert answer is not None
    for table in ("calls", "costs", "run"):
        for column in ("input_tokens", "output_tokens", "cached_tokens", "cost_usd"):
            assert total(of_mills[table], column) == pytest.approx(getattr(usage, column)), (table, column)
    for table in ("costs", "run"):
        assert total(of_mills[table], "calls") == usage.calls
    assert Counter(row["state"] for row in of_mills["slices"])["done"] == told.run.slices_done
    assert len(of_mills["slices"]) == told.run.slices_planned
    by_state = Counter[str]()
    for row in of_mills["slices"]:
        by_state[row["state"]] += int(row["chars"])
    assert total(of_mills["sources"], "chars") == answer.coverage.chars_total
    assert total(of_mills["sources"], "read_chars") == by_state["done"]
    assert total(of_mills["sources"], "failed_chars") == by_state["failed"] > 0
    assert len(of_mills["findings"]) == answer.findings
    assert total(of_mills["findings"], "evidence") == len(of_mills["evidence"])
    (run,) = of_mills["run"]
    assert (run["status"], run["graph"]) == (told.run.status, answer.graph)


def test_keys_lead_from_table_to_table(of_mills: Read) -> None:
    ids = {name: {row["id"] for row in of_mills[name]} for name in ("findings", "slices", "sources")}
    assert {row["finding"] for row in of_mills["evidence"]} == ids["findings"]
    assert {row["source"] for row in of_mills["evidence"]} <= ids["sources"]
    assert {row["slice"] for row in of_mills["findings"]} <= ids["slices"]
    assert {row["slice"] for row in of_mills["calls"]} - {""} == ids["slices"]
    assert {row["slice"] for row in of_mills["reads"]} == ids["slices"]
    reported = Counter(row["other"] for row in of_mills["edges"] if row["kind"] == "derived_from")
    assert {row["id"]: int(row["findings"]) for row in of_mills["slices"] if row["findings"] != "0"} == reported


def test_a_quote_is_the_text_that_a_finding_rests_on(of_mills: Read, mills: Path) -> None:
    claims = {row["id"]: row["claim"] for row in of_mills["findings"]}
    for row in of_mills["evidence"]:
        assert row["quote"] == claims[row["finding"]]  # the mills are quoted whole
    with open_run("last", mills) as opened:
        text = opened.library
        for row in of_mills["evidence"][:20]:
            where = text.locate(next(iter(opened.graph[row["finding"]].evidence)), row["path"])
            assert str(where) == f"{row['path']}:{row['line']}"


def test_an_answer_has_a_row_for_each_citation(of_mills: Read, mills: Path) -> None:
    answer = show("last", mills).answer
    assert answer is not None
    told = [(row["text"], int(row["citation"]), row["quote"]) for row in of_mills["answer"]]
    assert told == [
        (one.text, n + 1, answer.citations[n].quote) for one in answer.statements for n in one.citations
    ]


def test_what_contradicts_what_is_told_once(of_mills: Read, mills: Path) -> None:
    pairs = [frozenset((row["one"], row["other"])) for row in of_mills["edges"] if row["kind"] == "contradicts"]
    with open_run("last", mills) as opened:
        from swarm.graph.disputes import disputed

        expected = [frozenset((one.one.id, one.other.id)) for one in disputed(opened.graph)]
    assert len(pairs) > 5
    assert sorted(map(sorted, pairs)) == sorted(map(sorted, expected))


def test_parquet_has_the_same_rows_with_types(of_mills: Read, mills: Path, tmp_path: Path) -> None:
    with open_run("last", mills) as opened:
        write_folder(tmp_path / "out", tables(Look(opened)), write_parquet)
    read = {path.stem: pyarrow.parquet.read_table(path) for path in (tmp_path / "out").glob("*.parquet")}
    assert {name: table.num_rows for name, table in read.items()} == {k: len(v) for k, v in of_mills.items()}
    assert str(read["calls"].schema.field("begun").type) == "timestamp[us, tz=UTC]"
    assert str(read["calls"].schema.field("cost_usd").type) == "double"
    assert str(read["findings"].schema.field("stands_for_itself").type) == "bool"
    begun = [row["begun"] for row in of_mills["calls"]]
    told = [one.isoformat(timespec="milliseconds") for one in read["calls"]["begun"].to_pylist()]
    assert [one.replace("+00:00", "Z") for one in told] == begun
    assert sum(read["calls"]["cost_usd"].to_pylist()) == pytest.approx(total(of_mills["costs"], "cost_usd"))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        " =1",
        "\r=1",
        "\n+1",
        "\x01x",
        "\ufeff=1",
        "\uff1d1",
        "\u200b@x",
        "\u2060=1",
        "\xad+1",
    ],
)
def test_no_text_begins_as_a_formula(tmp_path: Path, text: str) -> None:
    table = Table("t", (Column("claim"), Column("cost_usd", "number")), lambda: iter([(text, -0.5)]))
    write_csv(tmp_path, table)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        _, row = csv.reader(file)
    assert row == [f"'{text}", "-0.5"]  # a number is one, and stays as it is


def test_hostile_text_stays_one_cell_of_one_row(hostile: Path, tmp_path: Path) -> None:
    read = exported(hostile, tmp_path / "out")
    assert all(None not in row and None not in row.values() for rows in read.values() for row in rows)
    assert sum("<script>" in row["claim"] for row in read["findings"]) == len(read["findings"]) > 40


def test_half_a_character_and_a_zero_are_no_reason_to_fail(tmp_path: Path) -> None:
    table = Table("t", (Column("claim"),), lambda: iter([("a\ud800b\0c",)]))
    for write in (write_csv, write_parquet):
        write(tmp_path, table)
    assert "a\ufffdb\ufffdc" in (tmp_path / "t.csv").read_text("utf-8")
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet")["claim"].to_pylist() == ["a\ufffdb\ufffdc"]
    assert plain("é\U0001f600") == "é\U0001f600"


def test_rows_pass_through_without_being_gathered(tmp_path: Path) -> None:
    alive = most = 0

    class Counted(str):
        def __new__(cls, text: str) -> Counted:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return super().__new__(cls, text)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def rows() -> Any:
        for number in range(50_000):
            yield (Counted(f"claim {number}"),)

    table = Table("t", (Column("claim"),), rows)
    assert write_csv(tmp_path, table) == 50_000
    assert most < 10
    assert write_parquet(tmp_path, table) == 50_000
    assert most < 25_000


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaks() -> Any:
        yield ("one",)
        raise RuntimeError("the store went away")

    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "out", [Table("t", (Column("claim"),), breaks)], write_csv)
    assert not list(tmp_path.iterdir())
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", [Table("t", (Column("claim"),), lambda: iter([("one",)]))], write_csv)
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["t.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "away").symlink_to(tmp_path / "nowhere")
    for name, said in (
        ("full", "not empty"), ("file", "is a file"), ("away", "is a file"), ("no/where", "is no folder"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said), new_folder(tmp_path / name):
            pass
    with pytest.raises(UsageError, match="is a folder"), new_file(tmp_path / "full"):
        pass
    with pytest.raises(UsageError, match="is no folder"), new_file(tmp_path / "no" / "where"):
        pass
    with pytest.raises(RuntimeError), new_file(tmp_path / "file"):
        raise RuntimeError
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "mine").read_text() == "mine"
    with new_file(tmp_path / "file") as out:
        out.write(b"new")
    assert (tmp_path / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["away", "file", "full"]
