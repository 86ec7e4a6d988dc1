"""The long run: state kept right for 1,000 to 1,048,575 steps by a SIMULATED worker that errs in 1% of its steps.

    python tests/bench/long.py --world registers hanoi --steps 1000 20000 1048575
                               [--vote | --no-vote] [--agree] [--baselines] [--error 0.01] [--json FILE]

The worker (`swarm.testing.steps`) sees a window of 4,096 tokens, reads nothing but the text of its request, and is
wrong with probability `--error`, a third of it in form; with `--agree` its wrong replies to one request are all
the same, the worst for a vote. Everything else is real: the coordinator, the gate, the votes, the journal on the
disk. `--baselines` adds one conversation by the same worker in one such window, whose oldest turns are dropped,
and one that is summarised when the window is full.

Each row is of a process of its own. CPU is user and system time of all its threads, from the first order to the
last report, after a small run that loads what is loaded once; looking at every result for errors comes after it
and is not in it. What the simulated worker itself takes is told beside it, and is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from long_conversations import Conversation
from long_worlds import WORLDS, Score, World, score

from swarm import Swarm, Task
from swarm.models.base import Completion
from swarm.program import Vote
from swarm.prompts.typed import Prompt
from swarm.testing.steps import Steps

MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row: what is run."""

    world: str
    steps: int
    way: str
    """vote, single, truncated, summarised."""
    error: float
    agree: bool
    lead: int
    places: int
    seed: int
    store: str


class Timed(Steps):
    """The simulated worker, and the CPU seconds that it takes itself."""

    seconds = 0.0

    def count(self, prompt: Prompt[Any]) -> int:
        began = time.thread_time()
        tokens = super().count(prompt)
        self.seconds += time.thread_time() - began
        return tokens

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        began = time.thread_time()
        completion = await super().call(prompt, max_output=max_output)  # waits for nothing
        self.seconds += time.thread_time() - began
        return completion


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Of this program, not of the one that started it, which ru_maxrss remembers too."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / MB
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


class Ending:
    """Writes the answer of a run, and looks at every step on the way: what that takes is not the run's."""

    def __init__(self, world: World, steps: int) -> None:
        self.world, self.steps = world, steps
        self.score: Score | None = None
        self.cpu = self.wall = self.peak = 0.0

    def __call__(self, results: Mapping[str, str]) -> str:
        if self.score is None:
            cpu, wall, self.peak = cpu_seconds(), time.perf_counter(), peak_mb()
            self.score = score(self.world, self.steps, results)
            self.cpu, self.wall = cpu_seconds() - cpu, time.perf_counter() - wall
        return f"{self.score.wrong_items} of {self.score.items} are wrong."


async def run_swarm(cell: Cell) -> dict[str, Any]:
    world = WORLDS[cell.world]()
    vote = None
    if cell.way == "vote":
        vote = Vote(lead=cell.lead) if cell.lead else Vote.for_steps(cell.steps, cell.error)
    folder = Path(cell.store)
    warm = Ending(world, 20)
    await _run(cell, Timed(error=0.0), 20, vote, warm, folder / "warm.db")
    model, ending = Timed(error=cell.error, agree=cell.agree, seed=cell.seed), Ending(world, cell.steps)
    cpu, wall = cpu_seconds(), time.perf_counter()
    answer = await _run(cell, model, cell.steps, vote, ending, folder / "swarm.db")
    cpu, wall = cpu_seconds() - cpu - ending.cpu, time.perf_counter() - wall - ending.wall
    found = ending.score
    return {
        "errors_at_end": found.wrong_items if found else None,
        "items": world.items,
        "wrong_steps": found.wrong if found else None,
        "first_wrong": found.first if found else None,
        "own_errors": found.own if found else None,
        "missing": found.missing if found else None,
        "lead": vote.lead if vote else None,
        "calls": answer.usage.calls,
        "calls_per_step": answer.usage.calls / cell.steps,
        "tokens_per_step": answer.usage.tokens / cell.steps,
        "worker_wrong": model.wrong,
        "discarded": model.malformed_replies,
        "cpu_us_per_step": cpu / cell.steps * 1e6,
        "cpu_us_per_call": cpu / max(1, answer.usage.calls) * 1e6,
        "worker_us_per_call": model.seconds / max(1, answer.usage.calls) * 1e6,
        "wall_s": wall,
        "peak_mb": max(ending.peak, peak_mb()),
        "store_mb": sum(path.stat().st_size for path in folder.glob("swarm.db*")) / MB,
        "window_peak": answer.window_peak,
        "stopped": answer.stopped,
        "failures": len(answer.failures),
        "answer": answer.text,
    }


async def _run(cell: Cell, model: Steps, steps: int, vote: Vote | None, ending: Ending, store: Path) -> Any:
    world = WORLDS[cell.world]()
    task = Task(questions=(world.goal,), paths=(), mode="work")
    swarm = Swarm(model, store=store, concurrency=cell.places)
    return await swarm.run(task, plan=world.program(steps, vote, ending))


def converse(cell: Cell) -> dict[str, Any]:
    cpu, wall = cpu_seconds(), time.perf_counter()
    conversation = Conversation(
        world=WORLDS[cell.world](), error=cell.error, summarised=cell.way == "summarised", seed=cell.seed
    )
    told = conversation.run(cell.steps)
    return {
        "errors_at_end": told.wrong_items,
        "items": told.items,
        "wrong_steps": told.wrong,
        "first_wrong": told.first,
        "unseen": told.unseen,
        "summaries": told.summaries,
        "calls": told.calls,
        "calls_per_step": told.calls / cell.steps,
        "tokens_per_step": told.tokens / cell.steps,
        "cpu_us_per_step": (cpu_seconds() - cpu) / cell.steps * 1e6,
        "wall_s": time.perf_counter() - wall,
        "peak_mb": peak_mb(),
    }


def measure(cell: Cell) -> dict[str, Any]:
    """One row, by a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="swarm-long-", dir=cell.store or None))
    asked = json.dumps(asdict(cell) | {"store": str(folder)})
    try:
        done = subprocess.run([sys.executable, __file__, "--cell", asked], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{asked} ended with status {done.returncode}")
        row: dict[str, Any] = asdict(cell) | json.loads(done.stdout.splitlines()[-1]) | {"simulated": True}
        return row
    finally:
        if not cell.store:
            shutil.rmtree(folder)


HEAD = (
    f"{'world':9} {'way':10} {'steps':>9} {'end':>6} {'wrong':>9} {'first':>8} {'calls':>6} {'discarded':>9} "
    f"{'tokens':>7} {'CPU µs':>7} {'a call':>7} {'worker':>7} {'wall s':>8} {'peak MB':>8} {'store MB':>8}"
)


def line(row: dict[str, Any]) -> str:
    way = f"{row['way']} by {row['lead']}" if row.get("lead") else row["way"]
    cells = [
        f"{row['world']:9} {way:10} {row['steps']:9,}",
        f"{_text(row['errors_at_end']):>3}/{row['items']:<2}",
        f"{_text(row['wrong_steps']):>9} {_text(row['first_wrong'] or '-'):>8}",
        f"{row['calls_per_step']:6.3f} {_text(row.get('discarded')):>9} {row['tokens_per_step']:7,.0f}",
        f"{row['cpu_us_per_step']:7.0f} {row.get('cpu_us_per_call', 0):7.0f}",
        f"{row.get('worker_us_per_call', 0):7.0f}",
        f"{row['wall_s']:8.1f} {row['peak_mb']:8.0f} {row.get('store_mb', 0):8.1f}",
    ]
    told = [f"{key}: {row[key]}" for key in ("stopped", "failures", "missing") if row.get(key)]
    return " ".join([*cells, *told])


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def growth(rows: list[dict[str, Any]]) -> list[str]:
    """How much more a step takes in a longer run, of the same world in the same way."""
    lines = []
    for world, way in dict.fromkeys((row["world"], row["way"]) for row in rows):
        same = sorted(
            (row for row in rows if (row["world"], row["way"]) == (world, way)), key=lambda r: r["steps"]
        )
        if len(same) < 2 or way not in ("vote", "single"):
            continue
        first = same[0]
        for row in same[1:]:
            ratios = [
                f"{name} x {row[key] / first[key]:.2f}"
                for name, key in (
                    ("CPU a step", "cpu_us_per_step"),
                    ("CPU a call", "cpu_us_per_call"),
                    ("calls a step", "calls_per_step"),
                    ("memory", "peak_mb"),
                )
            ]
            lines.append(f"{world}, {way}: {first['steps']:,} to {row['steps']:,} steps: {', '.join(ratios)}")
    return lines


def cells(options: argparse.Namespace) -> list[Cell]:
    ways = ["vote", "single"] if options.vote is None else ["vote" if options.vote else "single"]
    if options.baselines:
        ways += ["truncated", "summarised"]
    return [
        Cell(
            world=world,
            steps=steps,
            way=way,
            error=options.error,
            agree=options.agree,
            lead=options.lead,
            places=options.places,
            seed=options.seed,
            store=str(options.store or ""),
        )
        for world in options.world
        for way in ways
        for steps in options.steps
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--steps", type=int, nargs="+", default=[1_000, 20_000])
    parser.add_argument("--error", type=float, default=0.01)
    parser.add_argument("--vote", action=argparse.BooleanOptionalAction, default=None, help="default: both")
    parser.add_argument("--agree", action="store_true", help="wrong replies to one request all say the same")
    parser.add_argument("--lead", type=int, default=0, help="default: by the number of steps")
    parser.add_argument("--baselines", action="store_true")
    parser.add_argument("--places", type=int, default=64, help="calls in flight")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, help="keep the stores in this folder")
    parser.add_argument("--json", type=Path, help="write the rows to this file, after each")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        cell = Cell(**json.loads(options.cell))
        row = asyncio.run(run_swarm(cell)) if cell.way in ("vote", "single") else converse(cell)
        print(json.dumps(row))
        return
    if options.store:
        options.store.mkdir(parents=True, exist_ok=True)
    print(f"A SIMULATED worker that errs in {options.error:.1%} of its replies, in a window of 4,096 tokens.")
    print(HEAD, flush=True)
    rows = []
    for cell in cells(options):
        rows.append(measure(cell))
        print(line(rows[-1]), flush=True)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(rows, indent=2))
    print("\n".join(growth(rows)))


if __name__ == "__main__":
    main()
