"""Kill -9 at random moments over work by a program: a chain that is voted on, a fan, and what follows from it.

The provider is SIMULATED: what it says comes from the request itself, and it takes about as long as it is told.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarm.playback import replay
from swarm.testing.faults import log_normal
from swarm.testing.provider import Provider
from tests.kill.victim import RUN, warm
from tests.kill.watch import Trial
from tests.kill.working import mind, work_of

_SAME = ("status", "text", "findings", "slices", "stopped", "limit", "graph", "failures")


@pytest.fixture(scope="module")
def working() -> Iterator[Provider]:
    with Provider(keep=False, mind=mind, latency=log_normal(0.05)) as provider:
        warm()
        yield provider


@dataclass(frozen=True)
class Replies:
    """Of a journal: replies, the calls that they are to, and slices that were reported."""

    replies: int
    calls: int
    reported: int

    @staticmethod
    def of(store: str) -> Replies:
        connection = apsw.Connection(store)
        try:
            replies, calls = connection.execute(
                "SELECT count(*), count(DISTINCT call) FROM outcomes WHERE reply IS NOT NULL"
            ).fetchall()[0]
            return Replies(
                replies, calls, connection.execute("SELECT count(*) FROM records WHERE kind = 'report'").get
            )
        finally:
            connection.close()


async def kill_and_check(
    folder: Path, provider: Provider, steps: int, pieces: int, kills: int, dice: random.Random
) -> tuple[int, int]:
    """How often it was killed, and how many requests came again."""
    whole = undisturbed(folder / "whole", provider, steps, pieces)
    (folder / "killed").mkdir()
    trial = Trial(work_of(folder / "killed", str(folder / "killed" / "swarm.db"), steps, pieces), provider)
    moments = sorted(dice.randrange(1, whole[1].replies) for _ in range(kills))  # by requests that came
    process = trial.start()
    for moment in moments:
        while len(trial.requests.came) < moment and process.exitcode is None:
            process.join(dice.uniform(0.001, 0.05))
        if not trial.kill(process):
            break
        process = trial.start()
    answer = trial.finish(process)
    assert {name: answer[name] for name in _SAME} == {name: whole[0][name] for name in _SAME}
    replies = Replies.of(str(folder / "killed" / "swarm.db"))
    assert replies == whole[1]  # as many calls as when nobody kills it, and a finished one has one reply
    came = len(trial.requests.came)
    assert came <= replies.replies + sum(death.journal.flying for death in trial.deaths)
    assert all(death.journal.flying <= 8 for death in trial.deaths)
    again = await replay(RUN, folder / "killed" / "swarm.db")
    assert (again.graph, again.text) == (answer["graph"], answer["text"])
    return len(trial.deaths), came - replies.replies


Whole = tuple[dict[str, Any], Replies]


def undisturbed(folder: Path, provider: Provider, steps: int, pieces: int) -> Whole:
    """What comes of it when nobody kills it."""
    folder.mkdir()
    store = str(folder / "swarm.db")
    trial = Trial(work_of(folder, store, steps, pieces), provider)
    answer = trial.finish()
    assert answer["stopped"] is None, answer["stopped"]
    replies = Replies.of(store)
    assert replies.replies == replies.calls == len(trial.requests.came)
    assert replies.reported == steps + 2 * pieces
    return answer, replies


async def test_what_was_finished_is_never_sent_again_and_the_state_is_right(
    working: Provider, tmp_path: Path
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when it fails
    kills, _ = await kill_and_check(tmp_path, working, 8, 8, 2, random.Random(seed))
    assert kills


@pytest.mark.soak
async def test_many_random_moments(working: Provider, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"\nseed {seed}")
    dice, kills, again = random.Random(seed), 0, 0
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        died, repeated = await kill_and_check(tmp_path / str(number), working, 60, 60, 10, dice)
        kills, again = kills + died, again + repeated
        print(f"{kills} kills, {again} requests came again, none of them finished", flush=True)
    assert kills >= 40
