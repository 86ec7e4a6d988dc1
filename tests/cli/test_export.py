"""`swarm export`: a run for other programs, and one clear line where that cannot be."""

from __future__ import annotations

import asyncio
import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from swarm.testing.staged import Script, staged


@pytest.fixture
def store(tmp_path: Path) -> str:
    asyncio.run(staged(tmp_path / "runs.db", Script(findings=40)))
    return "runs.db"


def test_tables_are_written_into_a_new_folder(swarm, store: str, tmp_path: Path) -> None:
    done = swarm("export", "last", "--format", "csv", "-o", "out", "--store", store)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("wrote out: run 1, answer 6, findings 20, ")
    names = "run answer findings evidence edges sources slices reads calls costs"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}.csv" for name in names.split()}
    again = swarm("export", "last", "--format", "parquet", "-o", "out", "--store", store)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "swarm: out is not empty: name a folder that is not there yet with -o\n"


def test_a_program_is_told_what_was_written(swarm, store: str) -> None:
    done = swarm("export", "last", "--format", "parquet", "-o", "p", "--store", store, "--json")
    told = json.loads(done.stdout)
    assert (told["run"], told["path"]) == ("staged", "p")
    assert told["rows"]["findings"] == told["rows"]["evidence"] == 20


def test_a_trace_is_one_file_or_standard_output(process, swarm, store: str, tmp_path: Path) -> None:
    done = swarm("export", "last", "--format", "otlp-json", "-o", "trace.json", "--store", store)
    assert done.returncode == 0, done.stderr
    spans = json.loads((tmp_path / "trace.json").read_bytes())["resourceSpans"]
    assert spans
    streamed = process("export", "last", "--format", "otlp-json", "-o", "-", "--store", store)
    assert json.loads(streamed.stdout)["resourceSpans"] == spans


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "xml", "-o", "out"), "--format xml: there are csv, parquet, otlp-json"),
        (("--format", "csv", "-o", "no/where"), "no is no folder: make it first, or name another place with -o"),
        (("--format", "otlp-json", "-o", "."), ". is a folder: name a file with -o"),
        (("--format", "csv", "-o", "runs.db"), "runs.db is a file: name a folder that is not there yet with -o"),
    ],
)
def test_what_cannot_be_is_said_on_one_line(swarm, store: str, arguments: tuple[str, ...], said: str) -> None:
    done = swarm("export", "last", *arguments, "--store", store)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"swarm: {said}\n")


def test_without_pyarrow_it_is_said_what_to_install(
    swarm, store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    importing = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return importing(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = swarm("export", "last", "--format", "parquet", "-o", "out", "--store", store)
    assert done.stderr == "swarm: parquet needs pyarrow: pip install 'swarm-memory[parquet]'\n"
    assert not (tmp_path / "out").exists()
