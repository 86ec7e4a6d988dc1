"""What is shown of a run has no secret in it that an error, a setting or a reason told, wherever it is shown."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from swarm import history
from swarm.cli.watching.argued import Argued
from swarm.cli.watching.detail import detail
from swarm.cli.watching.look import Look as Watching
from swarm.cli.watching.told import document, picture
from swarm.cli.watching.words import shown
from swarm.inspect.data import ENDPOINTS
from swarm.inspect.diff import diff
from swarm.inspect.export.otlp import write_otlp
from swarm.inspect.export.tables import tables
from swarm.inspect.follow import Follower
from swarm.inspect.look import Look
from swarm.inspect.opened import Opened, open_run
from swarm.inspect.report.write import write_report
from swarm.inspect.why import why
from swarm.store.journal import Entry
from swarm.task import Usage
from swarm.testing.staged import Script, Stage

PLANTED = "PLANTED"
"""In every secret, so that no part of one is overlooked."""
KEY = f"sk-ant-api03-{PLANTED}0123456789abcdef"
ENVIRONMENT = f"{PLANTED}-of-the-environment"
SAID = (
    f"401 of https://someone:{PLANTED}pass@api.example.com/v1?api_key={PLANTED}query for {KEY}, Authorization: "
    f"Bearer {PLANTED}bearer, host=db password={PLANTED}libpq, MY_API_KEY {ENVIRONMENT}, "
    f"-----BEGIN RSA PRIVATE KEY-----\n{PLANTED}lines\n-----END RSA PRIVATE KEY-----"
)
ADDRESS = f"https://someone:{PLANTED}pass@api.example.com/v1"
CUTS = (60, 80, 150, 200, 300, 400, 600, 1_000, 1_500, 2_000, 3_200, 4_000, 20_000)
"""Lengths at which some text or other is cut."""


def at_a_cut(length: int) -> str:
    """A key of which so long a text would end in the middle, but for its last character."""
    return f"{'y' * (length - 20)} {KEY} "


SKIPPED = [["plate.png", SAID, 0, 9], ["other.png", at_a_cut(400), 0, 9]]


class Telling(Stage):
    """A run in which everything goes wrong that is told of in somebody else's words."""

    async def _append(self, *entries: Entry, also: Any = ()) -> None:
        """What is written first has secrets in it as well: where it reads, what was skipped and why."""
        made = []
        for entry in entries:
            if entry.kind == "task":
                task = {**entry.body["task"], "paths": [ADDRESS, at_a_cut(400)], "check": SAID}
                entry = replace(entry, body={"task": task})
            elif entry.kind == "corpus":
                entry = replace(entry, body={**entry.body, "skipped": SKIPPED})
            made.append(entry)
        await super()._append(*made, also=also)

    async def goes_wrong(self) -> None:
        body = self.journal.latest(self.script.run, "session")
        assert body is not None
        facts = {
            name: {**one, "base_url": ADDRESS, "address": ADDRESS[8:-3]}
            for name, one in body.body["facts"].items()
        }
        again = {**body.body, "base_url": ADDRESS, "facts": facts, "model": f"openai:m@{ADDRESS}"}
        await self._append(Entry(kind="session", key="2", body=again))
        for place, length in enumerate(CUTS, 5):
            await self.fail(place, at_a_cut(length), self.now + 1)
        await self.fail(4, SAID, self.now + 1)
        for number, said in enumerate((SAID, *(at_a_cut(length) for length in CUTS))):
            key = await self._begin(
                self.slices[4].id, "openai:m", "read", 6_000, self.now + 1, number=500 + number
            )
            await self.journal.fail_call(self.script.run, key, said, Usage())
        tool = {"tool": "run", "failed": True, "text": SAID, "seconds": 1.0}
        reason = {"slice": self.slices[4].id, "question": "", "failure": SAID}
        await self._append(
            Entry(kind="dropped", key=self.slices[3].id, body={"reason": SAID}),
            Entry(kind="instruction", key="1", body={"text": SAID}),
            Entry(kind="tool", key=f"{self.slices[4].id}:a:1:1", body=tool),
            Entry(kind="failure", key=f"{self.slices[4].id}:2", body=reason),
        )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("told") / "swarm.db"

    async def stage() -> None:
        async with Telling(path, Script(findings=200, each=10, failing=0)) as staged:
            await staged.open()
            await staged.work(3)
            await staged.goes_wrong()
            answer = await staged.end(stopped=SAID)
            body = json.loads(json.dumps(asdict(replace(answer, stopped=SAID + at_a_cut(2_000)))))
            await staged._append(Entry(kind="answer", key="2", body=body))

    asyncio.run(stage())
    return path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", ENVIRONMENT)


def clean(what: str, text: str) -> None:
    """No secret is in a text, nor a part of one."""
    found = [text[max(0, at.start() - 40) : at.end() + 20] for at in re.finditer(rf"{PLANTED}|sk-ant-", text)]
    assert not found, f"{what} tells {found[:3]}"


def asked(look: Look) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that can be asked of this run."""
    for name in ENDPOINTS.keys() - {"node", "source", "slice", "call", "nodes", "plan", "calls"}:
        yield name, {}
    plan = look.fresh().plan
    yield from (("plan", {"branch": key, "limit": 200}) for key in ("", *plan.branches))
    yield from (("slice", {"id": id_}) for id_ in plan.slices)
    yield "calls", {"limit": 200}
    yield from (("call", {"key": key.hex()}) for key in look.follower.calls.keys)
    for kind in ("finding", "source", "slice", "question", "entity"):
        found = ENDPOINTS["nodes"](look, kind=kind, limit=200)
        yield "nodes", {"kind": kind, "limit": 200}
        yield from (("node", {"id": row["id"]}) for row in found["rows"])


def test_nothing_that_the_page_is_told_has_a_secret_in_it(told: Path) -> None:
    with open_run("last", told) as opened:
        look = Look(opened)
        text = json.dumps(ENDPOINTS["overview"](look))
        assert text.count("401 of https://[redacted]@api.example.com/v1?[redacted] for") > 2  # it is all there
        for name, given in asked(look):
            clean(f"{name} {given}", json.dumps(ENDPOINTS[name](look, **given)))


def test_no_file_that_is_written_of_a_run_has_a_secret_in_it(told: Path) -> None:
    with open_run("last", told) as opened:
        page, trace = BytesIO(), BytesIO()
        write_report(opened, page)
        clean("the report", page.getvalue().decode())
        blocks = re.findall(rb'id="block-\d+">([^<]+)', page.getvalue())
        assert len(blocks) > 5
        for number, block in enumerate(blocks):
            clean(f"block {number}", zlib.decompress(base64.b64decode(block)).decode())
        write_otlp(opened, trace)
        clean("the trace", trace.getvalue().decode())
        for table in tables(Look(opened)):
            clean(table.name, "\n".join(map(str, table.rows())))


def test_nothing_on_a_terminal_or_in_a_notebook_has_a_secret_in_it(told: Path, mills: Path) -> None:
    with open_run("last", told) as opened, open_run("last", mills) as other:
        clean("diff", str(diff(opened, other)))
        for text in (_watched(opened), *_ways_down(opened)):
            clean("a terminal", text)
    known = history.show("last", told)
    assert known.answer is not None
    told_ = (
        known.run.why,
        known.run.model,
        known.sessions,
        known.failures,
        known.instructions,
        known.answer.stopped,
    )
    clean("history", str(told_))
    for thing in (known, known.run, known.answer):
        clean("a notebook", thing._repr_html_() + thing._repr_markdown_().replace("\\", ""))


def _watched(opened: Opened) -> str:
    look = Watching(Follower(opened))
    while look.next().head.behind:
        pass
    look.disputes = Argued(opened).look(1)
    frame = look.next()
    slices = [detail(look.followed, look.names, id_, 100) for id_ in look.followed.plan.slices]
    return "\n".join([*picture(frame, 200), json.dumps(document(frame)), str(slices)])


def _ways_down(opened: Opened) -> Iterator[str]:
    followed = Follower(opened)
    followed.catch_up()
    assert len(followed.plan.failed) > len(CUTS)
    yield from (str(why(opened, id_)) for id_ in followed.plan.failed)
    yield str(why(opened, "1"))


def test_a_key_with_signs_between_its_letters_that_nobody_sees_is_hidden_too() -> None:
    assert shown("bad key sk-ant-\x1b[1mapi03-\u202eabcdefgh0123") == "bad key [redacted]"
    for length in range(3_100, 3_300, 7):
        clean("a line", shown(f"{' ' * length}{ENVIRONMENT}"))
        clean("a line", shown(f"{' ' * length}{KEY}"))
