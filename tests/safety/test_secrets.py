"""Secrets are planted wherever one can come in, and looked for wherever something goes out.

What goes out: stdout, stderr, the log, events, exceptions with all that hangs on them, every byte of the store,
and saved graphs. A secret that stands in the user's own material is not one of these: it is data.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from swarm.errors import SwarmError
from swarm.models.anthropic import Anthropic
from swarm.models.language import LanguageModel
from swarm.models.openai import OpenAI
from swarm.observe import log
from swarm.prompts.typed import ReadPrompt
from swarm.recipe import load
from swarm.run import Swarm
from swarm.source import Passage, Span
from swarm.task import Limits, Task
from swarm.testing.provider import Fault, Provider

KEY = "Zx81-of-no-known-form-4711"  # nothing about it looks like a key
PASSWORD = "pa55word/of@the:proxy"
QUOTED = "pa55word%2Fof%40the%3Aproxy"
SECRETS = (KEY, PASSWORD, QUOTED, "hunter22-database", "tok-of-a-tool-0815")
ENVIRONMENT = {
    "OPENAI_API_KEY": KEY,
    "ANTHROPIC_API_KEY": KEY,
    "HTTPS_PROXY": f"http://me:{QUOTED}@127.0.0.1:9",
    "DATABASE_URL": "postgresql://swarm:hunter22-database@db.example/swarm",
    "SOME_TOOL_TOKEN": "tok-of-a-tool-0815",
    "NO_PROXY": "127.0.0.1",
}
ECHO = f"Incorrect API key provided: {KEY}. You sent Authorization: Bearer {KEY} through me:{PASSWORD}"
HEADERS = {"x-echo": KEY, "set-cookie": f"session={KEY}", "retry-after-ms": "1"}


def clean(text: str | bytes, where: str) -> None:
    data = text.encode() if isinstance(text, str) else text
    for secret in SECRETS:
        assert secret.encode() not in data, f"{secret} in {where}"


def clean_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            clean(path.read_bytes(), str(path))


def clean_error(error: BaseException) -> None:
    """Whatever a tool that reports errors could take out of one: what is chained to it too, shown or not."""
    clean("".join(traceback.format_exception(error)), "a traceback")
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        clean(
            f"{one} {one!r} {one.args!r} {vars(one)!r} {getattr(one, '__notes__', '')}", f"a {type(one).__name__}"
        )
        todo += (one.__cause__, one.__context__)
    clean(pickle.dumps(error), "a pickled exception")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(3):
        text = f"The keeper of lighthouse {number} was called Ida Lewis the {number}th.\n\n" * 3
        (folder / f"{number}.txt").write_text(text)
    return folder


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """The command line in a process with all the secrets; whatever it says or writes is looked through."""
    home = tmp_path / "home"
    home.mkdir()

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "swarm", *arguments],
            capture_output=True,
            text=True,
            cwd=home,
            env={**os.environ, **ENVIRONMENT, **environment},
            timeout=120,
        )
        clean(done.stdout, f"stdout of {arguments}")
        clean(done.stderr, f"stderr of {arguments}")
        clean_files(home)
        return done

    return run


ASK = ("ask", "Who was the keeper of the lighthouse?")


@pytest.mark.parametrize(
    ("model", "faults"),
    [
        ("openai:any", [Fault(status=401, message=ECHO, headers=HEADERS)]),
        pytest.param(
            "openai:any", [Fault(status=400, message=ECHO, headers=HEADERS)] * 40, marks=pytest.mark.soak
        ),
        ("anthropic:any", [Fault(status=500, message=ECHO, headers=HEADERS, code=KEY)] * 3),
        ("openai:any", [Fault(status=502, body=f"<html>{ECHO}</html>", headers=HEADERS)] * 2),
    ],
    ids=["401", "400", "500", "a page"],
)
def test_no_secret_gets_out_of_a_run_whose_provider_says_it(
    cli: Run, corpus: Path, model: str, faults: list[Fault]
) -> None:
    with Provider(faults=faults) as provider:
        url = provider.url if model.startswith("anthropic") else provider.openai_url
        done = cli(*ASK, str(corpus), "--model", model, "--base-url", url, "--log-json", "--json")
    assert done.returncode in (0, 1, 3), done.stderr


def test_no_secret_gets_into_a_store_or_a_saved_graph(cli: Run, corpus: Path) -> None:
    with Provider(key=KEY) as provider:
        done = cli(
            *ASK, str(corpus), "--model", "openai:any", "--base-url", provider.openai_url, "--log-json", "--json"
        )
        assert done.returncode == 0, done.stderr
        assert provider.requests
    run = json.loads(done.stdout)["run_id"]
    for name in ("graph.json", "graph.graphml", "graph.html"):
        saved = cli("graph", run, "--save", name)
        assert saved.returncode == 0, saved.stderr
    assert len(list(corpus.parent.glob("home/graph.*"))) == 3


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{KEY}@127.0.0.1:9/v1",
        f"http://{KEY}@127.0.0.1:9/v1",
        f"http://127.0.0.1:9/v1?api_key={KEY}",
        f"http://127.0.0.1:9/v1#{KEY}",
        f"user:{KEY}@127.0.0.1/v1",
        f"ftp://127.0.0.1/{KEY}",
        f"http://[{KEY}/v1",
        f"http://127.0.0.1:{KEY}/v1",
    ],
)
def test_a_base_url_with_a_secret_in_it_is_refused_in_one_line(cli: Run, corpus: Path, url: str) -> None:
    done = cli(
        *ASK, str(corpus), "--model", "openai:any", "--base-url", url, "--log-json", OPENAI_API_KEY="another"
    )
    assert done.returncode == 2
    assert "base URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_password_of_a_store_is_not_shown(cli: Run, corpus: Path, scheme: str) -> None:
    url = f"{scheme}://swarm:hunter22-database@127.0.0.1:9/swarm?connect_timeout=1"
    done = cli(*ASK, str(corpus), "--store", url, "--log-json")
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr


def test_what_breaks_in_swarm_itself_is_told_without_secrets(cli: Run, corpus: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "breaks.py"
    recipe.write_text(
        "import os\n\n"
        "from swarm import Answer, Swarm, recipe\n"
        "from swarm.models.failures import _number\n\n\n"
        "@recipe\n"
        "async def breaks(swarm: Swarm, paths: list[str]) -> Answer | None:\n"
        '    """Break below the recipe, on something that holds a key."""\n'
        "    _number(os.environ['OPENAI_API_KEY'])\n"
    )
    done = cli("run", str(recipe), str(corpus))
    assert done.returncode == 1
    assert "ValueError: invalid literal" in done.stderr


def test_an_exception_in_a_recipe_is_told_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "mine.py"
    path.write_text(
        '"""Ask a server."""\n\nimport os\n\nfrom swarm import Answer, Swarm, recipe\n\n\n@recipe\n'
        "async def mine(swarm: Swarm, paths: list[str]) -> Answer | None:\n"
        '    """Ask a server."""\n'
        "    try:\n"
        "        raise OSError('refused', os.environ['OPENAI_API_KEY'])\n"
        "    except OSError:\n"
        "        raise ValueError('no answer of ' + os.environ['DATABASE_URL'])\n"
    )
    recipe = load(path)

    async def caught() -> SwarmError:
        with pytest.raises(SwarmError) as error:
            await recipe.run(cast("Swarm", None), [])
        return error.value

    import asyncio

    error = asyncio.run(caught())
    assert re.search(
        r"mine\.py:14: ValueError: no answer of postgresql://\[redacted\]@db\.example/swarm", str(error)
    )
    clean_error(error)

    path.write_text(
        path.read_text().replace("@recipe\nasync", "raise OSError(os.environ['OPENAI_API_KEY'])\nasync")
    )
    with pytest.raises(SwarmError) as at_loading:
        load(path)
    clean_error(at_loading.value)


def test_a_mistake_of_a_recipe_without_a_secret_keeps_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("x = 1 / 0\n")
    with pytest.raises(SwarmError) as caught:
        load(path)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


FORMATS: dict[str, Callable[..., LanguageModel]] = {
    "messages": lambda provider: Anthropic("claude-test", base_url=provider.url, api_key=KEY),
    "chat": lambda provider: OpenAI("test", base_url=provider.openai_url, api_key=KEY),
    "responses": lambda provider: OpenAI("test", api="responses", base_url=provider.openai_url, api_key=KEY),
}
PROMPT = ReadPrompt(
    question="Who?",
    output="answer",
    passages=(Passage(id=1, span=Span("s1", 0, 4), tokens=1, cut=9, context="", text="Ida."),),
    paths={"s1": "a.md"},
    tokens=1,
    max_findings=5,
)
FAULTS = [
    *(Fault(status=status, message=ECHO, headers=HEADERS) for status in (400, 401, 402, 403, 404, 408, 413, 422)),
    *(Fault(status=status, message=ECHO, headers=HEADERS) for status in (429, 500, 503, 529)),
    Fault(status=400, code="content_filter", message=ECHO),
    Fault(status=400, message=f"{KEY}, " * 10),
    Fault(status=500, body=ECHO, headers=HEADERS),
    Fault(body=json.dumps({"error": ECHO}), content_type="application/json"),
    Fault(body=ECHO),
    Fault(event=KEY, message=ECHO),
    Fault(cut=True),
]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What every library logs, at its most talkative, as the command line would write it; the environment has the
    proxy's password, and no key."""
    monkeypatch.setenv("HTTPS_PROXY", ENVIRONMENT["HTTPS_PROXY"])
    root, own = logging.getLogger(), logging.getLogger("swarm")
    before = (root.handlers[:], root.level, own.level)
    log.to_stderr(level=logging.DEBUG)
    root.setLevel(logging.DEBUG)
    yield lambda: "".join(capsys.readouterr())
    root.handlers[:], root.level, own.level = before


@pytest.mark.parametrize("wire", FORMATS)
async def test_no_error_of_a_call_carries_a_key_that_was_given_from_python(
    wire: str, logged: Callable[[], str]
) -> None:
    with Provider() as provider:
        model = FORMATS[wire](provider)
        for fault in FAULTS:
            provider.faults.clear()
            provider.faults.extend([fault] * 4)
            try:
                await model.call(PROMPT, max_output=100)
            except SwarmError as error:
                clean_error(error)
        await model.close()
    clean(logged(), "the log")


async def test_no_event_and_no_failure_of_a_stream_carries_a_key(
    tmp_path: Path, corpus: Path, logged: Callable[[], str]
) -> None:
    told: list[str] = []
    with Provider(faults=[None, *[Fault(status=400, message=ECHO, headers=HEADERS)] * 40]) as provider:
        swarm = Swarm(OpenAI("any", base_url=provider.openai_url, api_key=KEY), store=tmp_path / "s" / "store.db")
        task = Task(questions=("Who was the keeper?",), paths=(str(corpus),), limits=Limits(rounds=1))
        try:
            async with swarm.stream(task) as events:
                async for event in events:
                    told.append(repr(event))  # one by one: the stream may end with an error
        except SwarmError as error:
            clean_error(error)
    assert told
    clean("\n".join(told), "an event")
    clean(logged(), "the log")
    clean_files(tmp_path / "s")


def test_a_key_in_the_users_own_material_is_data_and_is_quoted_exactly(cli: Run, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "notes.md").write_text("The door code of the lighthouse is sk-proj-abcDEF0123456789abcDEF.\n")
    done = cli("ask", "What is the door code of the lighthouse?", str(own), "--json")
    assert "sk-proj-abcDEF0123456789abcDEF" in done.stdout
