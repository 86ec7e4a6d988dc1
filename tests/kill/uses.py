"""How often tools that change something were used, held to what a journal knows of it: no use that was known is
made again, and one that was made again is told to have been.

`acting` has the tools, which note each use outside.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg

from swarm.store.opening import is_url
from swarm.testing.provider import Provider
from tests.kill.acting import MARKS, acting_of
from tests.kill.watch import Trial

SAME = ("status", "text", "findings", "slices", "stopped", "limit", "graph", "failures")
"""Of the answer, whatever befell the run."""
_AGAIN = "(The run was interrupted about here."
_TOOLS = "SELECT {body} FROM {records} WHERE kind = 'tool' OR kind = 'ran' ORDER BY seq"
_COUNTS = "SELECT count(*), count(DISTINCT call) FROM {outcomes} WHERE reply IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Held:
    """Of a journal: what its tools and its code gave, its replies, and the calls that they are to."""

    given: tuple[str, ...]
    replies: int
    calls: int

    @staticmethod
    def by(store: str) -> Held:
        where: dict[str, str] = {"records": "records", "outcomes": "outcomes", "body": "CAST(body AS TEXT)"}
        rows: list[Any]
        if is_url(store):
            where = {"records": "swarm.records", "outcomes": "swarm.outcomes", "body": "body"}
            with psycopg.connect(store, autocommit=True) as server:
                rows, counts = (server.execute(sql.format(**where)).fetchall() for sql in (_TOOLS, _COUNTS))  # type: ignore[call-overload, unused-ignore]
        else:
            file = apsw.Connection(store)
            try:
                rows, counts = (file.execute(sql.format(**where)).fetchall() for sql in (_TOOLS, _COUNTS))
            finally:
                file.close()
        bodies = [_body(one) for (one,) in rows]
        given = tuple(body.get("text", body.get("result", "")) for body in bodies)
        return Held(given=given, replies=counts[0][0], calls=counts[0][1])

    def knows(self, word: str) -> bool:
        """Whether it holds what came of a use of the tool that notes, or of code."""
        return any(text.removeprefix(_AGAIN).endswith(f"{word} is noted") for text in self.given)


def _body(stored: Any) -> dict[str, Any]:
    text = bytes(stored) if isinstance(stored, memoryview) else stored
    body: dict[str, Any] = text if isinstance(text, dict) else json.loads(text)
    return body


@dataclass(frozen=True, kw_only=True)
class Life:
    """When a process was dead: what its journal held, and the lines that were noted by then."""

    held: Held
    lines: int


async def once(folder: Path, provider: Provider, pieces: int, *, planned: bool) -> tuple[dict[str, Any], Held]:
    """What comes of it when nobody kills it."""
    folder.mkdir()
    store = str(folder / "swarm.db")
    trial = Trial(acting_of(folder, store, pieces, planned=planned), provider)
    answer = trial.finish()
    assert answer["stopped"] is None, answer["stopped"]
    held = Held.by(store)
    assert held.replies == held.calls == len(trial.requests.came)
    words = Counter(words_of(marks_in(folder)))
    assert len(words) == pieces * (4 if planned else 5) + planned
    assert set(words.values()) == {1}
    return answer, held


def check_uses(
    lines: list[tuple[str, str]], lives: list[Life], held: Held, deaths: int, in_one_life: int = 1
) -> None:
    """No use of a tool that was in the journal is made again, and one that was made again is told to have been. A
    process that lives through what loses its work may use it so often."""
    for life in lives:
        known = {word for _, word in lines[: life.lines] if life.held.knows(word)}
        later = {word for _, word in lines[life.lines :]}
        assert not known & later, "what was used and known was used again"
    for word, times in Counter(words_of(lines)).items():
        assert times <= 1 + deaths
        if times > 1 and "code" not in word:
            assert any(text.startswith(_AGAIN) and f"{word} is noted" in text for text in held.given), word
    pids = Counter((pid, word) for pid, word in lines)
    assert max(pids.values()) <= in_one_life, "used too often in one life"


def marks_in(folder: Path) -> list[tuple[str, str]]:
    """Process and word of each use."""
    path = folder / MARKS
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [(pid, word) for pid, _, word in (line.partition(" ") for line in lines)]


def words_of(lines: list[tuple[str, str]]) -> list[str]:
    return [word for _, word in lines]
