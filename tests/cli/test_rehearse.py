"""A recipe is worked against a stand-in: what it would come to is said, and nothing leaves or is left behind."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.cli.rehearse import _SIMULATED
from swarm.models.openai import OpenAI
from swarm.testing.provider import Provider
from swarm.testing.standins import NO_KEY, Hearing, stand_in

Run = Callable[..., "subprocess.CompletedProcess[str]"]

QUESTION = "Where is the key?"
MODEL = ("--model", "anthropic:claude-sonnet-5-5", "--window", "16000")

CLASHING = '''"""Says so."""
from pathlib import Path
from swarm import Answer, Swarm, Task, recipe

@recipe
async def clashing(swarm: Swarm, paths: list[str], seed: str = "none", out: Path = Path("out.txt")) -> Answer:
    """Ask, and write.

    Args:
        seed: Its own, and no number.
    """
    print("on its way with", seed)
    answer = await swarm.run(Task(questions=("Where is the key?",), paths=tuple(paths)))
    out.write_text(answer.text)
    return answer
'''


@pytest.fixture(autouse=True)
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(4):
        lines = [f"It rained on day {n} of the year {number}, and nobody went out." for n in range(150)]
        (folder / f"{number}.txt").write_text("\n\n".join([*lines, f"The key is under stone {number}."]))
    (tmp_path / "clashing.py").write_text(CLASHING)
    return folder


def left_behind() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("swarm-rehearsal-*")}


def test_it_says_what_it_would_come_to_without_a_key_and_leaves_nothing(process: Run, tmp_path: Path) -> None:
    before, folders = sorted(tmp_path.rglob("*")), left_behind()
    done = process("rehearse", "ask", QUESTION, "notes", *MODEL)
    assert (done.returncode, done.stderr) == (0, "")
    heading, nothing, expected, *rest = done.stdout.splitlines()
    assert heading == "SIMULATED: a rehearsal with a stand-in for anthropic:claude-sonnet-5-5"
    assert nothing == "  nothing was sent and nothing spent; every figure here is simulated"
    assert re.match(r"  expected: \d+ calls · .* tokens in, .* out · \$0\.\d+ · about \d", expected)
    assert all(line.startswith("  ") for line in rest), "every figure is under the heading"
    told = "\n".join(rest)
    for words in ("read ", "the largest request: ", " of 16,000 tokens", "$2 in and $10 out", "(--latency)"):
        assert words in told
    assert sorted(tmp_path.rglob("*")) == before
    assert left_behind() <= folders


def test_the_users_store_and_proxy_are_left_alone(
    swarm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert swarm("ask", QUESTION, "notes", "--quiet").returncode == 0
    store = tmp_path / ".swarm" / "swarm.db"
    before = store.read_bytes()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    done = swarm("rehearse", "ask", QUESTION, "notes", *MODEL, "--store", str(store))
    assert done.returncode == 0, done.stderr
    assert store.read_bytes() == before
    assert len(swarm("runs").stdout.splitlines()) == 2


def test_as_json_it_is_one_object_that_says_simulated(swarm: Run) -> None:
    done = swarm("rehearse", "audit", "notes", "--check", QUESTION, *MODEL, "--json", "--recall", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["simulated"] is True
    assert found["expected"]["calls"] == sum(kind["calls"] for kind in found["kinds"].values())
    assert found["expected"]["cost_usd"] == pytest.approx(
        sum(kind["cost_usd"] for kind in found["kinds"].values())
    )
    assert (found["slices"], found["share_worked"], found["cut_off"]) == (4, 1.0, False)
    assert found["stand_in"]["ability"]["recall"] == 1
    assert "write audit.csv" in found["ended"]


def test_a_limit_that_would_stop_it_is_told_with_the_option_that_changes_it(swarm: Run) -> None:
    limited = swarm("rehearse", "ask", QUESTION, "notes", *MODEL, "--max-cost-usd", "0.05").stdout
    found = re.search(
        r"- the limit of \$0\.0500 stops it, with \d+% of the slices done: --max-cost-usd ([\d.]+)", limited
    )
    assert found is not None, limited
    enough = swarm("rehearse", "ask", QUESTION, "notes", *MODEL, "--max-cost-usd", found[1]).stdout
    assert "stops it" not in enough


def test_a_recipes_own_option_comes_first_and_what_it_writes_is_not_written(swarm: Run, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("real")
    done = swarm("rehearse", "./clashing.py", "notes", *MODEL, "--seed", "mine", "--errors", "none")
    assert done.returncode == 0
    assert "on its way with mine" in done.stderr
    assert "the recipe was ended there (it would write out.txt, which a rehearsal does not do)" in done.stdout
    assert (tmp_path / "out.txt").read_text() == "real"
    assert "Its own, and no number." in swarm("rehearse", "./clashing.py", "--help").stdout


def test_run_before_the_recipe_is_the_same_and_nobody_named_is_a_named_default(swarm: Run) -> None:
    told = swarm("rehearse", "run", "answer", "notes", "--question", QUESTION, "--errors", "none").stdout
    assert "stand-in for anthropic:claude-sonnet-5-5 (--model names another)" in told
    assert "no request fails (--errors)" in told
    assert "what would go wrong: nothing, with a provider like this" in told


def test_what_goes_wrong_is_told(swarm: Run) -> None:
    options = ("--errors", "529=0.3,cut=0.2", "--fabricates", "1", "--rates", "requests=6", "--latency", "1")
    told = swarm("rehearse", "ask", "Did it rain?", "notes", *MODEL, *options).stdout
    assert re.search(r"- \d+ of \d+ requests went wrong \(.*\d+ × 529.*\)", told)
    assert "quotes that stand nowhere in the text" in told
    assert "the rates set the pace" in told
    assert "it allows 6 requests a minute (--rates)" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--errors", "teapot=0.1"), "no error is called 'teapot'"),
        (("--errors", "529"), "--errors 529: '' is no number: write NAME=NUMBER,..."),
        (("--latency", "mean=3"), "--latency mean=3: there is no 'mean', but median, sigma, token"),
        (("--rates", "requests=0"), "--rates requests=0: give whole numbers from 1 on"),
        (("--model", "extractive"), "extractive asks no provider and costs nothing"),
        (("--window", "500"), "window"),
    ],
)
def test_a_mistake_is_one_line(swarm: Run, options: tuple[str, ...], said: str) -> None:
    done = swarm("rehearse", "ask", QUESTION, "notes", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_help_lists_recipes_and_what_can_be_set(swarm: Run) -> None:
    assert "audit" in swarm("rehearse", "--help").stdout
    told = swarm("rehearse", "ask", "--help").stdout
    assert all(f"--{parameter.name}" in told for parameter in _SIMULATED)


async def test_the_users_own_key_is_not_even_sent_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-user")
    from swarm.prompts.typed import PlanPrompt

    prompt = PlanPrompt(question=QUESTION, output="answer", sources=("a",), count=1, chars=9)
    with Provider(key=NO_KEY) as provider:
        for name in ("openai:gpt-6.1-sol", "anthropic:claude-sonnet-5-5"):
            model = stand_in(name, provider, Hearing(clock=lambda: 0.0))
            assert (await model.call(prompt, max_output=100)).text
            await model.close()


def test_a_stand_in_has_the_name_price_window_and_count_of_the_real_one() -> None:
    real = OpenAI("gpt-6.1-sol", api_key="not-a-real-key")
    with Provider() as provider:
        model = stand_in("openai:gpt-6.1-sol", provider, Hearing(clock=lambda: 0.0))
    for name in ("name", "price", "window", "max_output", "lane"):
        assert getattr(model, name) == getattr(real, name)
    assert model.ratio() == real.ratio()
