"""How long a whole plan takes over the least it could: makespan over the lower bound, SIMULATED latencies.

    python tests/bench/makespan.py [--sizes 2000 20000] [--places 64 1000] [--sigma 1.2] [--seconds 6] [--out FILE]

The lower bound is the larger of the total work over the places, and the longest chain of slices that need one
another: no schedule is shorter, and mostly none is as short. Slices are SIMULATED: each sleeps for a log-normal
time (`sigma`; at 1.2 one in a hundred takes 8 times the mean), by the real clock of asyncio, scaled so that the
bound is `--seconds`, or more where slices would be too short for a clock of milliseconds. Three shapes: slices
that need nothing; layers, each slice of which needs one to three of the layer before; chains of 20. Measured are:

- `swarm`: Agenda and LocalEngine alone.
- `waves` and `plain`: langgraph's supersteps, over the same slices and times. `waves` sends as many as there are
  places in each superstep; `plain` sends all that is ready, with `max_concurrency`. No checkpointer.
- `work run`, `read run`: the whole of Swarm, with its prompts, limits, lane and journal, over a model whose
  latency is simulated. Without hedging, so that the times are the same for all; the last row has it, and there the
  time of a copy is drawn anew.

Two columns say what is to blame for a ratio above one. `blind` is the same order as Swarm's with a clock that only
jumps: nothing that does not know the times beforehand does better by more than luck (`median`: of 11 draws).
`knows` is a list schedule, longest path first, by a scheduler that knows all times. `cost` is the real figure over
`blind`: what running it costs. Each cell runs in a process of its own. Needs `pip install swarm-memory[bench]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import operator
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypedDict

from swarm.agenda.agenda import Agenda
from swarm.engine.local import LocalEngine
from swarm.events import Event, PhaseChanged
from swarm.limits import hedged
from swarm.models.base import FREE, Completion
from swarm.orders import Order
from swarm.program import Program, Role
from swarm.prompts.render import render
from swarm.prompts.typed import Prompt, ReadPrompt, WorkPrompt
from swarm.run import Swarm
from swarm.task import Limits, Task, Usage

SHAPES = ("none", "layers", "chains")
CHAIN = 20
FINE_SECONDS = 0.05  # of a slice, at the least on the mean: the event loop wakes to the millisecond
PATIENCE_SECONDS = 120  # for one cell
NUMBER = re.compile(r"step (\d+)\b")
WORKED = '{"status":"done","result":"done","summary":"","notes":""}'
READ = '{"findings":[],"summary":"","open_questions":[]}'


class Plan:
    """Slices by number, each with what it needs, its branch, and its seconds; later ones need earlier ones."""

    def __init__(self, shape: str, count: int, places: int, sigma: float, seconds: float, draw: int = 0) -> None:
        dice = random.Random(f"{shape}/{count}/{draw}")
        self.count, self.places = count, places
        self.needs: list[tuple[int, ...]] = [()] * count
        self.branch = [""] * count
        if shape == "layers":
            wide = count // (10 if count < 10_000 else 20)
            for n in range(wide, count):
                before = (n // wide - 1) * wide
                self.needs[n] = tuple({before + dice.randrange(wide) for _ in range(dice.randint(1, 3))})
        if shape == "chains":
            for n in range(count):
                self.needs[n] = (n - 1,) if n % CHAIN else ()
                self.branch[n] = str(n // CHAIN)
        took = [dice.lognormvariate(0, sigma) for _ in range(count)]
        self.took = took
        scale = max(seconds, FINE_SECONDS * count / places) / self.bound()
        self.took = [scale * each for each in took]
        self.mean = sum(self.took) / count

    def paths(self) -> list[float]:
        """Seconds of the longest path that begins with each slice."""
        after = [0.0] * self.count
        for n in reversed(range(self.count)):
            after[n] += self.took[n]
            for need in self.needs[n]:
                after[need] = max(after[need], after[n])
        return after

    def bound(self) -> float:
        return max(sum(self.took) / self.places, *self.paths())

    def agenda(self) -> Agenda:
        agenda = Agenda()
        for n in range(self.count):
            agenda.add(str(n), needs=map(str, self.needs[n]), branch=self.branch[n])
        return agenda

    def knowing(self) -> Agenda:
        """One in which the longest path comes first."""
        agenda, paths = Agenda(), self.paths()
        for n in range(self.count):
            agenda.add(str(n), needs=map(str, self.needs[n]), priority=round(1e6 * paths[n]))
        return agenda

    def jumping(self, agenda: Agenda) -> float:
        """Seconds on a clock that only jumps."""
        now, running = 0.0, list[tuple[float, str]]()
        while True:
            while len(running) < self.places and (ref := agenda.take()) is not None:
                heappush(running, (now + self.took[int(ref)], ref))
            if not running:
                return now
            now, ref = heappop(running)
            agenda.settle(ref)


# One row each, in a process of its own: seconds


async def by_swarm(plan: Plan) -> float:
    agenda = plan.agenda()
    engine = LocalEngine(plan.places, agenda)
    agenda.wake = engine.wake

    async def work(ref: str) -> None:
        await asyncio.sleep(plan.took[int(ref)])
        agenda.settle(ref)

    began = time.perf_counter()
    await engine.serve(work)
    assert len(agenda) == 0
    return time.perf_counter() - began


class State(TypedDict):
    done: Annotated[int, operator.add]


async def by_supersteps(plan: Plan, most: int | None) -> float:
    """langgraph: a hub sends what is ready, at most so many, and comes again when all of that is done."""
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    agenda = Agenda()  # only keeps the order of what is ready, which costs a microsecond or two
    for n in range(plan.count):
        agenda.add(str(n), needs=map(str, plan.needs[n]))

    async def work(ref: str) -> State:
        await asyncio.sleep(plan.took[int(ref)])
        agenda.settle(ref)
        return {"done": 1}

    def ready(_: State) -> Any:
        sends: list[Send] = []
        while (most is None or len(sends) < most) and (ref := agenda.take()) is not None:
            sends.append(Send("work", ref))
        return sends or END

    graph: Any = StateGraph(State)
    graph.add_node("hub", lambda _: {"done": 0})
    graph.add_node("work", work)
    graph.add_edge(START, "hub")
    graph.add_conditional_edges("hub", ready, ["work", END])
    graph.add_edge("work", "hub")
    compiled = graph.compile()
    config = {"recursion_limit": 3 * plan.count, "max_concurrency": plan.places}
    began = time.perf_counter()
    state = await compiled.ainvoke({"done": 0}, config)
    took = time.perf_counter() - began
    assert state["done"] == plan.count
    return took


class Simulated:
    """A remote model that thinks nothing, and takes as long as a plan says. The time of what is asked again is
    drawn anew."""

    name = lane = "simulated"
    window, max_output = 8_000, 400
    selective, remote, revision, price = False, True, "", FREE

    def __init__(self, plan: Plan, sigma: float) -> None:
        self.plan, self.sigma = plan, sigma
        self.asked: set[int] = set()
        self.again = 0

    def count(self, prompt: Prompt[Any]) -> int:
        render(prompt)
        return 900

    def ratio(self) -> float:
        return 1.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        usage = Usage(calls=1, input_tokens=900, output_tokens=60)
        if isinstance(prompt, (WorkPrompt, ReadPrompt)):
            text = prompt.objective if isinstance(prompt, WorkPrompt) else prompt.passages[0].text
            await asyncio.sleep(self.seconds(int(NUMBER.search(text)[1])))  # type: ignore[index]
        return Completion(text=WORKED if isinstance(prompt, WorkPrompt) else READ, usage=usage)

    def seconds(self, number: int) -> float:
        if number not in self.asked:
            self.asked.add(number)
            return self.plan.took[number]
        self.again += 1
        mean_of_one = math.exp(self.sigma**2 / 2)
        return random.Random(number).lognormvariate(0, self.sigma) * self.plan.mean / mean_of_one

    async def close(self) -> None:
        pass


class Phases:
    """When each phase began."""

    def __init__(self) -> None:
        self.began: list[tuple[str, float]] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, PhaseChanged):
            self.began.append((event.phase, time.perf_counter()))

    def seconds(self, phase: str) -> float:
        starts = [at for name, at in self.began if name == phase]
        return min(at for _, at in self.began if at > starts[-1]) - starts[0]


async def by_work(plan: Plan, sigma: float, folder: Path) -> tuple[float, int]:
    def orders() -> Iterable[Order]:
        for n in range(plan.count):
            needs = tuple(f"s{need}" for need in plan.needs[n])
            yield Order(name=f"s{n}", objective=f"step {n} of the plan", needs=needs)

    program = Program(orders=orders, roles=(Role(view_tokens=0),), answer=lambda _: "done")
    task = Task(questions=("Do all steps",), paths=(), mode="work", limits=Limits())
    return await _whole(plan, sigma, folder, task, program)


async def by_reading(plan: Plan, sigma: float, folder: Path) -> tuple[float, int]:
    with (folder / "steps.jsonl").open("w") as out:
        for n in range(plan.count):
            out.write(json.dumps({"text": f"This is step {n} of {plan.count}."}) + "\n")
    path = str(folder / "steps.jsonl")
    task = Task(questions=("What?",), paths=(path,), output="table", slicing="record", limits=Limits(rounds=1))
    return await _whole(plan, sigma, folder, task, None)


async def _whole(plan: Plan, sigma: float, folder: Path, task: Task, program: Program | None) -> tuple[float, int]:
    """Seconds of dispatch, and how many calls were asked twice."""
    model, phases = Simulated(plan, sigma), Phases()
    swarm = Swarm(model, store=folder / "swarm.db", concurrency=plan.places)
    answer = await swarm._run(task, "bench", phases, program)
    assert answer.complete, answer
    assert answer.slices == plan.count, answer.slices
    return phases.seconds("dispatch"), model.again


def measure(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    sigma = row["sigma"]
    plan = Plan(row["shape"], row["slices"], row["places"], sigma, row["seconds"])
    again = 0
    if row["who"] != "read run, hedged":
        hedged.SHARE = 0.0
    match row["who"]:
        case "swarm":
            took = asyncio.run(by_swarm(plan))
        case "waves":
            took = asyncio.run(by_supersteps(plan, plan.places))
        case "plain":
            took = asyncio.run(by_supersteps(plan, None))
        case "work run":
            took, again = asyncio.run(by_work(plan, sigma, folder))
        case _:
            took, again = asyncio.run(by_reading(plan, sigma, folder))
    bound = plan.bound()
    draws = [Plan(row["shape"], row["slices"], row["places"], sigma, 1.0, draw) for draw in range(1, 12)]
    return row | {
        "bound_seconds": bound,
        "took_seconds": took,
        "ratio": took / bound,
        "blind": plan.jumping(plan.agenda()) / bound,
        "blind_median": statistics.median(one.jumping(one.agenda()) / one.bound() for one in draws),
        "knows": plan.jumping(plan.knowing()) / bound,
        "longest_path": max(plan.paths()) / bound,
        "asked_twice": again,
    }


# The table


def apart(row: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
        command = [sys.executable, __file__, "--measure", json.dumps(row), folder]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            return row | {"ratio": None}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def show(row: dict[str, Any]) -> None:
    about = f"{row['who']:17} {row['shape']:7} {row['slices']:7,} {row['places']:6,} {row['sigma']:5.1f}"
    if row["ratio"] is None:
        print(f"{about}  did not end in {PATIENCE_SECONDS} seconds", flush=True)
        return
    times = f"{row['bound_seconds']:8.2f} {row['took_seconds']:8.2f} {row['ratio']:7.3f}"
    twice = f"  {row['asked_twice']} asked twice" if row["asked_twice"] else ""
    print(
        f"{about} {times} {row['ratio'] / row['blind']:7.3f} {row['blind']:7.3f} "
        f"{row['blind_median']:7.3f} {row['knows']:7.3f}{twice}",
        flush=True,
    )


def cells(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    for sigma in options.sigma:
        for shape in options.shapes:
            for slices in options.sizes:
                for places in options.places:
                    cell = {"shape": shape, "slices": slices, "places": places, "sigma": sigma}
                    yield cell | {"who": "swarm", "seconds": options.seconds}
                    if sigma != options.sigma[0]:
                        continue
                    for who in options.langgraph:
                        yield cell | {"who": who, "seconds": options.seconds}
    whole = {"slices": 2_000, "places": 64, "sigma": options.sigma[0], "seconds": 2 * options.seconds}
    several: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "work": lambda cell: cell | {"who": "work run", "shape": "none"},
        "layers": lambda cell: cell | {"who": "work run", "shape": "layers"},
        "read": lambda cell: cell | {"who": "read run", "shape": "none"},
    }
    for name in options.whole:
        yield several[name](whole)
    late = whole | {"shape": "none", "sigma": 1.5, "slices": 1_000, "seconds": 20.0}
    for who in options.late:
        yield late | {"who": who}


def machine() -> str:
    told = f"langgraph {version('langgraph')}, load {os.getloadavg()[0]:.1f}"
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {told}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[2_000, 20_000])
    parser.add_argument("--places", type=int, nargs="+", default=[64, 1_000])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--sigma", type=float, nargs="+", default=[1.2])
    parser.add_argument("--seconds", type=float, default=6.0, help="the bound of a cell")
    parser.add_argument("--langgraph", nargs="*", choices=("waves", "plain"), default=["waves", "plain"])
    parser.add_argument(
        "--whole", nargs="*", choices=("work", "layers", "read"), default=["work", "layers", "read"]
    )
    parser.add_argument("--late", nargs="*", default=["read run", "read run, hedged"])
    parser.add_argument("--out", type=Path, default=Path("bench-results/makespan.json"))
    parser.add_argument("--measure", nargs=2, metavar=("ROW", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        row, folder = options.measure
        json.dump(measure(json.loads(row), Path(folder)), sys.stdout)
        return
    print(f"SIMULATED latencies, real clock. {machine()}")
    print(
        "                  shape    slices places sigma    bound     took   ratio    cost   blind  median   knows"
    )
    rows = []
    for cell in cells(options):
        rows.append(apart(cell))
        show(rows[-1])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"simulated": True, "rows": rows}, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
