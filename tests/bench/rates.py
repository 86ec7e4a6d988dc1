"""How much of a provider's rates a run uses: the share of the requests and tokens a minute, and the refusals.

    python tests/bench/rates.py [--cases requests-64 …] [--at-once 1] [--minutes 4] [--out FILE]

Each case is a whole run of Swarm (a slice a record) against the provider of `swarm.testing` in a
process of its own, which enforces an EXACT sliding window of 60 seconds: stricter than real providers, whose
buckets forgive a little. What is reported is how much of the allowance the provider's own ledger has as used in a
minute: the mean of all minutes that begin a minute after the first request or later, since whole minutes would
flatter a client whose own minute is a little longer; and how many requests were refused in the whole run. The
clock is the real one, so that a case takes as many minutes as it says; `--at-once` runs
several side by side, each with a provider of its own, which is kinder to patience than to the figures.

The provider and its replies are SIMULATED (no model is asked): replies take as long as `latency` says,
log-normally spread, and their length varies with the record. What leaves, and when, is real: OpenAI's SDK over
HTTP, through the gate, the lanes and the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.models.registry import connect
from swarm.run import Swarm
from swarm.task import Limits, Task
from swarm.testing.allowance import Counted
from swarm.testing.process import Apart

WINDOW = 8_192
QUESTION = "What was the pressure of the pump?"
FILLER = "The hall was swept in the morning and the windows were left open until the shift had ended."


@dataclass(frozen=True, kw_only=True)
class Case:
    """`limit` of what `bound` names may be used a minute; `told` by the response headers, or else set by the user.
    `latency` is the median of the replies in seconds: long enough for most places to be taken."""

    bound: Counted
    limit: int
    told: bool
    in_flight: int
    latency: float

    @property
    def name(self) -> str:
        return f"{self.bound.removesuffix('_tokens')}-{self.in_flight}"


CASES = [
    Case(bound="requests", limit=600, told=True, in_flight=64, latency=4.0),
    Case(bound="input_tokens", limit=600_000, told=False, in_flight=64, latency=4.0),
    Case(bound="output_tokens", limit=60_000, told=False, in_flight=64, latency=4.0),
    Case(bound="requests", limit=1_200, told=True, in_flight=256, latency=8.0),
    Case(bound="input_tokens", limit=1_200_000, told=False, in_flight=256, latency=8.0),
    Case(bound="output_tokens", limit=120_000, told=False, in_flight=256, latency=8.0),
]


def write_records(path: Path, count: int) -> None:
    """Records of 20 to some 800 tokens, of which nothing, or one sentence in a few, is to the point."""
    dice = random.Random(1)
    with path.open("w") as out:
        for number in range(count):
            said = [f"The pressure of pump {number} in hall {n} was {dice.randint(1, 99)} bar." for n in range(6)]
            kept = [*said[: dice.randint(0, 6)], *([FILLER] * dice.choice((1, 2, 4, 8, 30)))]
            dice.shuffle(kept)
            out.write(json.dumps({"id": number, "text": " ".join(kept)}) + "\n")


async def measure(case: Case, minutes: int) -> dict[str, Any]:
    """One case, from cold to the end of its last whole minute."""
    work = Path(tempfile.mkdtemp(prefix="swarm-bench-"))
    speeds: dict[str, Any] = {} if case.told else {f"{case.bound}_per_minute": case.limit}
    try:
        write_records(work / "records.jsonl", 3_000 * (minutes + 1))
        options: dict[str, Any] = {case.bound: case.limit}
        with Apart(window=WINDOW, latency=case.latency, sigma=0.5, **options) as provider:
            model = connect("openai:simulated", window=WINDOW, base_url=provider.openai_url)
            swarm = Swarm(model, store=work / "swarm.db", concurrency=case.in_flight)
            limits = Limits(rounds=1, **speeds)
            task = Task(
                questions=(QUESTION,),
                paths=(str(work / "records.jsonl"),),
                output="table",
                slicing="record",
                limits=limits,
            )
            running = asyncio.create_task(swarm.run(task))
            await asyncio.to_thread(provider.wait_for, requests=1)
            began = time.process_time()
            await asyncio.sleep(60 * minutes + 1)
            spent = time.process_time() - began
            counts, ledger = provider.counts(), provider.ledger()
            swarm.stop()
            await running
        return _row(case, minutes, counts, ledger, spent)
    finally:
        shutil.rmtree(work)


def _row(
    case: Case, minutes: int, counts: dict[str, Any], ledger: dict[str, list[Any]], cpu_seconds: float
) -> dict[str, Any]:
    first = ledger["at"][0]
    amounts = [1] * len(ledger["at"]) if case.bound == "requests" else ledger[case.bound]
    left = [
        (at - first, amount)
        for at, allowed, amount in zip(ledger["at"], ledger["allowed"], amounts, strict=True)
        if allowed
    ]
    begins = [60 + second / 2 for second in range(120 * (minutes - 2) + 1)]
    shares = [sum(amount for at, amount in left if begin <= at < begin + 60) / case.limit for begin in begins]
    return {
        "case": case.name,
        "limit": case.limit,
        "told": case.told,
        "share": statistics.mean(shares),
        "least": min(shares),
        "most": max(shares),
        "requests": counts["requests"],
        "refused": counts["outcomes"].get("refused", 0),
        "peak_in_flight": counts["peak_in_flight"],
        "cpu_ms_a_call": 1e3 * cpu_seconds / counts["requests"],
    }


def apart(case: Case, minutes: int) -> dict[str, Any]:
    """A case in a process of its own, so that those side by side do not wait for one another."""
    command = [sys.executable, __file__, "--measure", case.name, "--minutes", str(minutes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [case.name for case in CASES]
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    parser.add_argument("--at-once", type=int, default=1, help="cases side by side")
    parser.add_argument("--minutes", type=int, default=4, help="of each case, at least 3")
    parser.add_argument("--out", type=Path, default=Path("bench-results/rates.json"))
    parser.add_argument("--measure", choices=names, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = {case.name: case for case in CASES}
    if options.measure:
        json.dump(asyncio.run(measure(cases[options.measure], options.minutes)), sys.stdout)
        return
    rows = []
    print("SIMULATED provider, exact sliding window of 60 s; minutes that begin after the first")
    print("case             limit  known by   share   least   most  refused        in flight  CPU ms")
    with ThreadPoolExecutor(options.at_once) as pool:
        for row in pool.map(lambda name: apart(cases[name], options.minutes), options.cases):
            rows.append(row)
            known = "headers" if row["told"] else "the user"
            shares = f"{row['share']:6.1%}  {row['least']:6.1%} {row['most']:6.1%}"
            calls = f"{row['refused']:4} of {row['requests']:6,} {row['peak_in_flight']:9}"
            print(
                f"{row['case']:12} {row['limit']:9,}  {known:8} {shares}  {calls} {row['cpu_ms_a_call']:8.1f}",
                flush=True,
            )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
