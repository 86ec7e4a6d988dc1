"""Kill -9 at random moments over work with tools: no finished call is sent again, and no tool is used twice but
where nobody can know that it was.

The provider is SIMULATED: what it does comes from the request itself, and it takes about as long as it is told.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from swarm.playback import replay
from swarm.store.opening import is_url
from swarm.testing.faults import log_normal
from swarm.testing.provider import Provider
from swarm.testing.thoughts import Mind
from swarm.testing.wire import CHAT
from swarm.tokens import o200k
from tests.kill.acting import MARKS, acting_of, hands
from tests.kill.victim import RUN, warm
from tests.kill.watch import Trial, journalled

_SAME = ("status", "text", "findings", "slices", "stopped", "limit", "graph", "failures")
_AGAIN = "(The run was interrupted about here."
_TOOLS = "SELECT {body} FROM {records} WHERE kind = 'tool' OR kind = 'ran' ORDER BY seq"
_COUNTS = "SELECT count(*), count(DISTINCT call) FROM {outcomes} WHERE reply IS NOT NULL"


@pytest.fixture(scope="module")
def acted() -> Iterator[Provider]:
    with Provider(keep=False, hands=hands, latency=log_normal(0.05)) as provider:
        warm()
        yield provider


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
class Outcome:
    """How often it was killed, how many requests came again, and how many uses of a tool."""

    kills: int
    requests: int
    uses: int


@dataclass(frozen=True, kw_only=True)
class Life:
    """When a process was dead: what its journal held, and the lines that were noted by then."""

    held: Held
    lines: int


async def kill_and_check(
    folder: Path, store: str, provider: Provider, pieces: int, kills: int, dice: random.Random, *, planned: bool
) -> Outcome:
    whole, undisturbed = await once(folder / "whole", provider, pieces, planned=planned)
    killed = folder / "killed"
    killed.mkdir()
    trial = Trial(acting_of(killed, store, pieces, planned=planned), provider)
    moments = sorted(dice.randrange(1, undisturbed.replies) for _ in range(kills))  # by requests that came
    lives: list[Life] = []
    process = trial.start()
    for moment in moments:
        while len(trial.requests.came) < moment and process.exitcode is None:
            process.join(dice.uniform(0.001, 0.05))
        process.join(dice.uniform(0.0, 0.06))  # tools are used between replies and requests
        if not trial.kill(process):
            break
        if trial.deaths[-1].journal.calls:
            lives.append(Life(held=Held.by(store), lines=len(_marks(killed))))
        process = trial.start()
    answer = trial.finish(process)
    assert {name: answer[name] for name in _SAME} == {name: whole[name] for name in _SAME}
    held = Held.by(store)
    assert (held.replies, held.calls) == (undisturbed.replies, undisturbed.calls)
    came = len(trial.requests.came)
    assert came <= held.replies + sum(death.journal.flying for death in trial.deaths)
    check_uses(_marks(killed), lives, held, len(trial.deaths))
    assert journalled(store).tokens >= billed(trial)
    again = await replay(RUN, store)
    assert (again.graph, again.text) == (answer["graph"], answer["text"])
    return Outcome(
        kills=len(trial.deaths),
        requests=came - held.replies,
        uses=len(_marks(killed)) - len(set(_words(_marks(killed)))),
    )


async def once(folder: Path, provider: Provider, pieces: int, *, planned: bool) -> tuple[dict[str, Any], Held]:
    """What comes of it when nobody kills it."""
    folder.mkdir()
    store = str(folder / "swarm.db")
    trial = Trial(acting_of(folder, store, pieces, planned=planned), provider)
    answer = trial.finish()
    assert answer["stopped"] is None, answer["stopped"]
    held = Held.by(store)
    assert held.replies == held.calls == len(trial.requests.came)
    words = Counter(_words(_marks(folder)))
    assert len(words) == pieces * (4 if planned else 5) + planned
    assert set(words.values()) == {1}
    return answer, held


def check_uses(lines: list[tuple[str, str]], lives: list[Life], held: Held, deaths: int) -> None:
    """No use of a tool that was in the journal is made again, and one that was made again is told to have been."""
    for life in lives:
        known = {word for _, word in lines[: life.lines] if life.held.knows(word)}
        later = {word for _, word in lines[life.lines :]}
        assert not known & later, "what was used and known was used again"
    for word, times in Counter(_words(lines)).items():
        assert times <= 1 + deaths
        if times > 1 and "code" not in word:
            assert any(text.startswith(_AGAIN) and f"{word} is noted" in text for text in held.given), word
    pids = Counter((pid, word) for pid, word in lines)
    assert set(pids.values()) == {1}, "used twice in one life"


def billed(trial: Trial) -> int:
    """All that the server can have billed: each request that came, whether its reply left or not."""
    mind = Mind(o200k, hands=hands)
    thoughts = {key: mind.think(CHAT, key, body) for key, body in trial.requests.bodies.items()}
    return sum(thoughts[key].tokens + thoughts[key].text_tokens for _, key in trial.requests.came)


def _marks(folder: Path) -> list[tuple[str, str]]:
    """Process and word of each use."""
    path = folder / MARKS
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [(pid, word) for pid, _, word in (line.partition(" ") for line in lines)]


def _words(lines: list[tuple[str, str]]) -> list[str]:
    return [word for _, word in lines]


@pytest.mark.parametrize("planned", [False, True], ids=["program", "planner"])
async def test_no_call_is_paid_twice_and_no_tool_used_twice(
    acted: Provider, tmp_path: Path, planned: bool
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when it fails
    store = str(tmp_path / "swarm.db")
    done = await kill_and_check(tmp_path, store, acted, 4, 2, random.Random(seed), planned=planned)
    assert done.kills


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["file", "server"])
async def test_so_it_is_at_many_random_moments(
    acted: Provider, tmp_path: Path, kind: str, new_store: Callable[[str], tuple[Path, str]]
) -> None:
    seed = random.randrange(10**6)
    print(f"\nseed {seed}")
    dice, kills, requests, uses = random.Random(seed), 0, 0, 0
    for number in range(6):
        _, store = new_store(kind)
        (tmp_path / str(number)).mkdir()
        done = await kill_and_check(tmp_path / str(number), store, acted, 20, 8, dice, planned=bool(number % 2))
        kills, requests, uses = kills + done.kills, requests + done.requests, uses + done.uses
        print(f"{kills} kills, {requests} requests came again and {uses} uses of a tool", flush=True)
    assert kills >= 24
