"""`swarm report`: a run as one HTML file, and one clear line where that cannot be."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from swarm.testing.staged import Script, staged


@pytest.fixture
def store(tmp_path: Path) -> str:
    asyncio.run(staged(tmp_path / "runs.db", Script(findings=40)))
    return "runs.db"


def test_a_report_is_one_file(swarm, store: str, tmp_path: Path) -> None:
    done = swarm("report", "last", "-o", "report.html", "--store", store, "--title", "Mills & <more>")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote report.html: 0.3 MB, 20 findings\n"
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert '<h1 class="text" dir="auto">Mills &amp; &lt;more&gt;</h1>' in page
    assert sorted(path.name for path in tmp_path.iterdir() if "runs.db" not in path.name) == ["report.html"]


def test_the_same_goes_to_standard_output_and_to_a_program(process, store: str, tmp_path: Path) -> None:
    streamed = process("report", "last", "-o", "-", "--store", store)
    told = json.loads(process("report", "last", "-o", "r.html", "--store", store, "--json").stdout)
    assert streamed.stdout.encode() == (tmp_path / "r.html").read_bytes()
    assert told == {"path": "r.html", "bytes": len(streamed.stdout.encode()), "findings": 20, "left_out": []}


def test_what_is_not_in_it_is_said(swarm, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from swarm.inspect.report import write

    monkeypatch.setattr(write, "_LEAST", 10)
    done = swarm("report", "last", "-o", "r.html", "--store", store, "--max-mb", "2")
    assert "not in it" not in done.stdout
    monkeypatch.setattr(write, "_FIXED", 1_995_000)
    done = swarm("report", "last", "-o", "r.html", "--store", store, "--max-mb", "2")
    assert "  not in it: " in done.stdout


def test_a_page_of_the_graph_is_the_report(swarm, store: str, tmp_path: Path) -> None:
    assert swarm("report", "last", "-o", "r.html", "--store", store).returncode == 0
    done = swarm("graph", "last", "--save", "g.html", "--store", store, "--json")
    assert json.loads(done.stdout) == {"saved": "g.html"}
    assert (tmp_path / "g.html").read_bytes() == (tmp_path / "r.html").read_bytes()


def test_an_older_report_gives_way_and_nothing_else_does(swarm, store: str, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("old")
    assert swarm("report", "last", "-o", "r.html", "--store", store).returncode == 0
    assert len((tmp_path / "r.html").read_bytes()) > 100_000
    for path, said in (
        (".", ". is a folder: name a file with -o"),
        ("no/r.html", "no is no folder: make it"),
    ):
        done = swarm("report", "last", "-o", path, "--store", store)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"swarm: {said}")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("other", "-o", "r.html"), "runs.db holds no run other"),
        (("last",), "missing option '--output'"),
        (("last", "-o", "r.html", "--max-mb", "0"), "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_is_said_on_one_line(
    swarm, store: str, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = swarm("report", *arguments, "--store", store)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("size", ["inf", "nan", "1", "1e9"])
def test_a_size_that_no_file_can_have_is_refused_in_one_line(swarm, store: str, tmp_path: Path, size: str) -> None:
    done = swarm("report", "last", "-o", "r.html", "--store", store, "--max-mb", size)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--max-mb" in done.stderr
    assert not (tmp_path / "r.html").exists()
