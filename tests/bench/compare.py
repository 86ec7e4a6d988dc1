"""What it takes to say why, and to hold two runs against each other, as runs grow. On staged runs: SIMULATED.

    python tests/bench/compare.py --work-dir DIR --findings 1000 10000 100000

Run B is asked the same and says half of it in other words, and a tenth of that half with another year. Each figure
is the best of three, in milliseconds of processor time, the stores opened anew; the growth is that for ten times
as many findings, or per tenfold where the sizes are others.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from swarm.claims import read_claim
from swarm.graph import alike
from swarm.graph.identity import finding_id, name_of
from swarm.graph.values import read_time, read_value
from swarm.inspect.diff import diff
from swarm.inspect.opened import open_run
from swarm.inspect.why import why
from swarm.source import Span
from swarm.task import Finding
from swarm.testing.staged import Script, Stage


class Other(Stage):
    """A run that says half of it in other words."""

    def _line(self, n: int) -> str:
        if n % 2 == 0:
            return super()._line(n)
        return super()._line(n).replace("was rebuilt", "was raised anew")

    def _finding(self, n: int, span: Span, line: str) -> Finding:
        one = super()._finding(n, span, line)
        if n % 20 != 1 or one.value is None:
            return one
        value = str(int(one.value) + 1)
        return replace(one, value=value, id=finding_id(one.claim, one.subject, one.attribute, value))


async def stage(path: Path, kind: type[Stage], findings: int) -> None:
    if path.exists():
        return
    async with kind(path, Script(findings=findings, run=path.stem)) as stage:
        await stage.open()
        await stage.work()
        await stage.summarise()
        await stage.end()


def best(work: Callable[[], object], times: int = 3) -> float:
    """Milliseconds of processor time: others may be at work on this machine."""
    found = []
    for _ in range(times):
        for kept in (alike.facts_of, read_claim, read_value, read_time, name_of):
            kept.cache_clear()  # of a process that has just begun
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1_000)
    return min(found)


def measured(a: Path, b: Path) -> dict[str, float]:
    def asked(text: str) -> None:
        with open_run("last", a) as opened:
            assert why(opened, text).found is not None

    def compared(other: Path) -> None:
        with open_run("last", a) as one, open_run("last", other) as two:
            diff(one, two)

    return {
        "why, a sentence by its number": best(lambda: asked("2")),
        "why, a finding by its words": best(lambda: asked("Mill 77 was rebuilt")),
        "diff, half in other words": best(lambda: compared(b)),
        "diff, with itself": best(lambda: compared(a)),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--findings", type=int, nargs="+", default=[1_000, 10_000])
    options = parser.parse_args()
    options.work_dir.mkdir(parents=True, exist_ok=True)
    table: list[tuple[int, dict[str, float]]] = []
    for findings in options.findings:
        a, b = options.work_dir / f"a-{findings}.db", options.work_dir / f"b-{findings}.db"
        asyncio.run(stage(a, Stage, findings))
        asyncio.run(stage(b, Other, findings))
        table.append((findings, measured(a, b)))
        for name, took in table[-1][1].items():
            growth = ""
            if len(table) > 1:
                tens = math.log10(findings / table[-2][0])
                growth = f"  x{(took / table[-2][1][name]) ** (1 / tens):.1f} for ten times as many"
            print(f"{findings:>9,}  {name:<32}  {took:>9,.0f} ms{growth}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at its most: {peak:,.0f} MB, with the staging")


if __name__ == "__main__":
    main()
