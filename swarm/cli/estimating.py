"""`swarm estimate`: a recipe is worked up to its first run, which is estimated and not begun; nothing is spent."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

from swarm.cli.options import Settings
from swarm.cli.session import ANSWERED, Work, options_of, prepare

if TYPE_CHECKING:
    from swarm.task import Estimate


class Estimates(TyperGroup):
    """`swarm estimate QUESTION PATH...` is `swarm estimate ask QUESTION PATH...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args if args[:1] in (["ask"], ["run"]) else ["ask", *args]
        return super().parse_args(ctx, named)


def execute_estimate(settings: Settings, work: Work) -> int:
    """Print what the first run of `work` would come to, and do nothing of it."""
    prepare(settings)
    from swarm.cli.estimate import document, told

    with redirect_stdout(sys.stderr):  # where a recipe prints on its way
        estimate = asyncio.run(_estimated(settings, work))
    if settings.json:
        from swarm.cli.document import dumps

        sys.stdout.write(f"{dumps(document(estimate) if estimate else {})}\n")
    else:
        sys.stdout.write(
            "\n  ".join(told(estimate)) + "\n" if estimate else "no run is made: nothing to estimate\n"
        )
    return ANSWERED


async def _estimated(settings: Settings, work: Work) -> Estimate | None:
    from swarm.cli.watched import Estimated, Estimating

    swarm = Estimating(**options_of(settings))
    swarm.settings = settings
    try:
        await work(swarm)
    except Estimated as reached:
        return reached.estimate
    return None
