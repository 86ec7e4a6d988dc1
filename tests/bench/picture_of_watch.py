"""The picture of `swarm watch` in `docs/`: a run that is staged, which nobody worked, as the screen shows it.

    python tests/bench/picture_of_watch.py docs/watch.svg

What the run says is SIMULATED: planners, findings, failures and costs are made up, and written through the doors
that runs use. The screen is the real one.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path

from swarm.cli.watching.app import Watch
from swarm.cli.watching.argued import Argued
from swarm.cli.watching.look import Look
from swarm.inspect.follow import Follower
from swarm.inspect.opened import open_run
from swarm.store.journal import Entry
from swarm.testing.staged import Script, Stage

SIZE = (160, 48)
_SLICES = 312
_AT_WORK = 7
_REASONS = (
    "the reply to the read prompt was cut off at 4,096 tokens, three times",
    "Unavailable: the provider answered 529: overloaded (5 tries)",
)


async def stage_a_run(stage: Stage, now: float) -> None:
    """Most of a run: some slices failed, some are at work, many are to come, and a person has added something."""
    await stage.open()
    await stage.work(_SLICES)
    for n, reason in enumerate(_REASONS):
        await stage.fail(_SLICES + n, reason, now - 30)
    for n in range(_AT_WORK):
        stage.now = now - 4 - 3 * n
        await stage.begin_call(_SLICES + 2 + n)
    stage.now = now
    body = {"text": "Count windmills that were moved as rebuilt.", "under_way": []}
    await stage.journal.append(stage.script.run, Entry(kind="instruction", key="1", body=body))


async def picture(path: Path) -> str:
    """The screen over such a run, as SVG."""
    now = time.time()
    script = Script(
        findings=24 * 420, each=24, places=8, seconds=1.6, begun=now - 138, run="20261128-140321-7c1f0a"
    )
    async with Stage(path, script) as stage:
        await stage_a_run(stage, now)
        with open_run("last", path) as opened:
            app = Watch(Look(Follower(opened, lambda: now)), Argued(opened))
            async with app.run_test(size=SIZE) as pilot:
                while app.frame is None or app.frame.disputes is None:
                    await pilot.pause(0.05)
                await pilot.press("down", "down")
                await pilot.pause(0.2)
                return app.export_screenshot(title="swarm watch last   (a simulated run)")


def alone(svg: str) -> str:
    """The picture without the fonts that it would load from elsewhere."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        svg = alone(asyncio.run(picture(Path(folder) / "swarm.db")))
    target.write_text(svg)
    print(f"{target}: {len(svg):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/watch.svg"))
