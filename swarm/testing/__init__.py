"""What tests of Swarm, and of programs built on it, need.

    with swarm.testing.simulated(window=8_000, errors={"529": 0.1}, ability=Ability(recall=0.9)) as provider:
        answer = run_sync(question, "docs/", model="anthropic:any", base_url=provider.url, window=8_000)

`simulated` is a provider on a loopback address that speaks the formats of Anthropic and OpenAI, with a window,
latencies (`latency`), errors (`faults`), rates (`allowance`) and an ability to read (`ability`) that are set
(`Simulated`), and that counts what it was asked (`tally`). Every figure made with it is simulated. `provider` is
the server under it, with more to set, and `process` runs that in a process of its own. `rehearsal` works a recipe
against one, in a time of its own (`clock`), as `swarm rehearse` does. All of it needs the extra `testing`.

`recorded.Recorded` is a model that answers from a recorded run, `swarm.models.scripted.Scripted` one that says
what it is told to, and `steps.Steps` a simulated one that works small steps (`skills`) and errs: none needs a
server. `postgres.LocalPostgres` is a PostgreSQL server for a while, `vectors` makes and keeps vectors of words
(SIMULATED), and `conformance` holds the suites that a journal or an index of your own is held to.
"""

from __future__ import annotations

from swarm.testing.ability import Ability
from swarm.testing.allowance import Allowance
from swarm.testing.latency import Delays
from swarm.testing.simulated import Simulated, simulated  # at once: the module of that name would take its place

__all__ = ["Ability", "Allowance", "Delays", "Simulated", "simulated"]
