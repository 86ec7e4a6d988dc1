"""One machine as a process: it claims a slice of a run and sends calls under its lease, held to what all share.

    python -m tests.limits.machine STORE SLICE PROVIDER LIMITS CONCURRENCY AT_ONCE CALLS

It says `ready`, waits for a line, sends its calls, and says as JSON how many were answered and why it ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from swarm.errors import LimitReached
from swarm.limits.gate import Gate
from swarm.limits.rates import Rates
from swarm.limits.shared import sharing
from swarm.models.base import Price
from swarm.models.registry import connect
from swarm.prompts.typed import PlanPrompt
from swarm.store.opening import open_store
from swarm.task import Limits

RUN = "run"
PRICE = Price(input_usd=1.0, output_usd=5.0, cached_usd=1.0)


async def main(
    store: str, ref: str, provider: str, limits: str, concurrency: str, at_once: str, calls: str
) -> dict[str, Any]:
    bounds = Limits(**json.loads(limits))
    model = connect("openai:any", base_url=provider, api_key="none", window=2_048, max_output=256, price=PRICE)
    with open_store(store) as opened:
        lease = await opened.claims.claim(RUN, ref, ref, 600.0)
        assert lease is not None
        async with sharing(opened.shares, ref) as shared:
            budget = shared.budget(RUN, bounds)
            budget.finishing = True
            journal = opened.journal.under(lease)
            gate = Gate(journal, RUN, budget, Rates.of(bounds), int(concurrency), lambda _: None)
            _say("ready")
            await asyncio.to_thread(sys.stdin.readline)
            left = int(calls)
            told = {"answered": 0, "ended": ""}

            async def work() -> None:
                nonlocal left
                while left > 0 and not told["ended"]:
                    left -= 1
                    prompt = PlanPrompt(
                        question=f"What is {ref} {left}?", output="answer", sources=("a.md",), count=1, chars=10
                    )
                    try:
                        await gate.ask(model, prompt)
                    except LimitReached as error:
                        told["ended"] = str(error)
                        return
                    told["answered"] += 1

            await asyncio.gather(*(work() for _ in range(int(at_once))))
            return told


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say(json.dumps(asyncio.run(main(*sys.argv[1:]))))
