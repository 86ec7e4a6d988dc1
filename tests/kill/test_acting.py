"""Kill -9 at random moments over work with tools: no finished call is sent again, and no tool is used twice but
where nobody can know that it was.

The provider is SIMULATED: what it does comes from the request itself, and it takes about as long as it is told.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarm.playback import replay
from swarm.testing.faults import log_normal
from swarm.testing.provider import Provider
from swarm.testing.thoughts import Mind
from swarm.testing.wire import CHAT
from swarm.tokens import o200k
from tests.kill.acting import acting_of, hands
from tests.kill.uses import SAME, Held, Life, check_uses, marks_in, once, words_of
from tests.kill.victim import RUN, warm
from tests.kill.watch import Trial, journalled


@pytest.fixture(scope="module")
def acted() -> Iterator[Provider]:
    with Provider(keep=False, hands=hands, latency=log_normal(0.05)) as provider:
        warm()
        yield provider


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How often it was killed, how many requests came again, and how many uses of a tool."""

    kills: int
    requests: int
    uses: int


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
            lives.append(Life(held=Held.by(store), lines=len(marks_in(killed))))
        process = trial.start()
    answer = trial.finish(process)
    assert {name: answer[name] for name in SAME} == {name: whole[name] for name in SAME}
    held = Held.by(store)
    assert (held.replies, held.calls) == (undisturbed.replies, undisturbed.calls)
    came = len(trial.requests.came)
    assert came <= held.replies + sum(death.journal.flying for death in trial.deaths)
    check_uses(marks_in(killed), lives, held, len(trial.deaths))
    assert journalled(store).tokens >= billed(trial)
    again = await replay(RUN, store)
    assert (again.graph, again.text) == (answer["graph"], answer["text"])
    return Outcome(
        kills=len(trial.deaths),
        requests=came - held.replies,
        uses=len(marks_in(killed)) - len(set(words_of(marks_in(killed)))),
    )


def billed(trial: Trial) -> int:
    """All that the server can have billed: each request that came, whether its reply left or not."""
    mind = Mind(o200k, hands=hands)
    thoughts = {key: mind.think(CHAT, key, body) for key, body in trial.requests.bodies.items()}
    return sum(thoughts[key].tokens + thoughts[key].text_tokens for _, key in trial.requests.came)


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
