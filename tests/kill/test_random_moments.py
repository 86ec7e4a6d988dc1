"""Kill -9 at random moments over runs with many slices and 64 calls in flight, on both stores.

The short version is in every run of the tests; the long one, 200 moments over runs with 1,000 slices on each
store, is marked `soak` (`docs/durability.md` has the command). The provider is SIMULATED: what it says comes from
the prompt itself.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.testing.provider import Provider
from tests.kill.conftest import LONG, SHORT, job_of, take, told
from tests.kill.watch import Figures, Trial, Undisturbed

RESUMING = 0.8  # seconds until one that goes on has sent its first call, about
STORES = ("file", "server", "server, and the machine beside it is new each time")

Run = Callable[..., Figures]


@pytest.fixture
def killed(
    busy: Provider,
    corpus_of: Callable[[int], Path],
    undisturbed: Callable[[int], Undisturbed],
    new_store: Callable[[str], tuple[Path, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., object]:
    """One run over so many slices that is killed so often, at moments that are uniform over its life, and goes on
    until it is done."""

    async def run(store: str, slices: int, kills: int, dice: random.Random) -> Figures:
        whole = undisturbed(slices)
        take(busy, slices)
        folder, name = new_store(store.partition(",")[0])
        trial = Trial(job_of(folder, name, corpus_of(slices)), busy)
        life = whole.seconds + kills * RESUMING
        moments = sorted(dice.uniform(0, life) for _ in range(kills))
        process = trial.start()
        for before, moment in zip([0.0, *moments], moments, strict=False):
            process.join(moment - before)
            if not trial.kill(process):
                break
            if "," in store:
                shutil.rmtree(folder / ".swarm", ignore_errors=True)
            process = trial.start()
        answer = trial.finish(process)
        figures = trial.check(answer, whole)
        monkeypatch.chdir(folder)
        again = await trial.replay()
        assert again == {name: answer[name] for name in again}
        return figures

    return run


@pytest.mark.soak
@pytest.mark.parametrize("store", STORES[:2])
async def test_what_was_finished_is_never_sent_again_and_all_comes_out_the_same(
    store: str, killed: Callable[..., object]
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when it fails
    dice, kills = random.Random(seed), 0
    while kills < 3:
        kills += (await killed(store, SHORT, 4, dice)).kills


@pytest.mark.soak
@pytest.mark.parametrize("store", STORES)
async def test_two_hundred_random_moments(
    store: str, killed: Callable[..., object], undisturbed: Callable[[int], Undisturbed]
) -> None:
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    print(f"\n{store}: seed {seed}; undisturbed {undisturbed(LONG).seconds:.1f} s")
    wanted = 200 if "," not in store else 40
    done: list[Figures] = []
    while (kills := sum(one.kills for one in done)) < wanted:
        done.append(await killed(store, LONG, min(20, wanted - kills), dice))
        print(told(done[-1]), flush=True)
    print(
        f"{store}: {sum(one.kills for one in done)} kills over {len(done)} runs, "
        f"{sum(one.repeated for one in done)} calls repeated of {sum(one.requests for one in done)}, "
        f"after one kill at most {max(one.repeated_at_most for one in done)}; "
        f"finished calls sent again: {sum(one.finished_again for one in done)}; "
        f"tokens spent {sum(one.spent_tokens for one in done):,}, "
        f"billed at most {sum(one.billed_tokens for one in done):,}; "
        f"{sum(one.seconds for one in done):.0f} s"
    )
