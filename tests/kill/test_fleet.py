"""Kill -9 at random moments of workers, coordinators, both, and all of PostgreSQL, over runs that three machines
work: nothing that was finished is sent again, and all comes out as if nobody had been killed.

The short version is in every run of the tests; the long one kills two hundred times, every other run with a second
coordinator that stands by (`docs/durability.md` has the command). The provider is SIMULATED: what it says comes
from the prompt itself.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from swarm.testing.provider import Provider
from tests.kill.chaos import Case, acting, eventful_reading, kill_at_random, reading
from tests.kill.cluster import Cluster
from tests.kill.conftest import told
from tests.kill.fleet import Figures

_KILLS = 200


def seeded() -> random.Random:
    """With a seed that is shown when a test fails, or that of the variable SEED."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    print(f"\nseed {seed}", flush=True)
    return random.Random(seed)


async def test_what_was_finished_is_never_sent_again_whoever_is_killed(
    cluster: Cluster, busy: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = seeded()
    monkeypatch.chdir(tmp_path)
    case = reading(tmp_path, busy, 40, 0.15)
    with case.fleet(tmp_path / "fleet", busy, cluster) as fleet:
        fleet.begin(workers=2, coordinators=2)
        assert fleet.wait_for(dice.randrange(2, 8))
        fleet.kill("worker 0")
        fleet.start("worker", "worker 2")
        assert fleet.wait_for(dice.randrange(10, 15))
        fleet.kill(fleet.coordinating() or "coordinator 0")
        assert fleet.wait_for(dice.randrange(20, 25))
        fleet.kill_server()
        figures = await fleet.come_out()
    assert figures.kills == 3


@pytest.mark.soak
async def test_two_hundred_kills_of_everybody(
    cluster: Cluster, busy: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = seeded()
    monkeypatch.chdir(tmp_path)
    cases: list[Case] = []
    for number in range(4):
        folder = tmp_path / f"case {number}"
        folder.mkdir()
        match number:
            case 0:
                cases.append(reading(folder, busy, 160, 0.3))
            case 1:
                cases.append(await acting(folder, busy, 12, 0.15))
            case 2:
                cases.append(eventful_reading(folder, busy, 0.3))
            case _:
                cases.append(await acting(folder, busy, 12, 0.15, planned=True))
    done: list[Figures] = []
    wanted = int(os.environ.get("KILLS") or _KILLS)
    while sum(one.kills for one in done) < wanted:
        number = len(done)
        case = cases[number % len(cases)]
        coordinators = 1 + number // len(cases) % 2
        with case.fleet(tmp_path / f"fleet {number}", busy, cluster) as fleet:
            fleet.begin(coordinators=coordinators)
            kill_at_random(fleet, 10, dice)
            done.append(await fleet.come_out())
        print(f"{case.name}, {coordinators} coordinators: {told(done[-1])}", flush=True)
    upsets = sum((Counter(one.upsets) for one in done), Counter[str]())
    print(
        f"{sum(one.kills for one in done)} kills over {len(done)} runs ({dict(upsets)}), "
        f"{sum(one.repeated for one in done)} calls repeated of {sum(one.requests for one in done)}, "
        f"after one kill at most {max(one.repeated_at_most for one in done)}; "
        f"finished calls sent again: {sum(one.finished_again for one in done)}; "
        f"tokens spent {sum(one.spent_tokens for one in done):,}, "
        f"billed at most {sum(one.billed_tokens for one in done):,}; "
        f"{sum(one.seconds for one in done):.0f} s"
    )
