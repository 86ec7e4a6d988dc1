"""What the page of a run costs to answer: milliseconds by endpoint at 1,000, 10,000 and 100,000 findings, five to
a slice and a call to each, so that the largest run has 20,000 slices.

    python tests/bench/page_data.py [--sizes 1000 10000 100000] [--keep FOLDER] [--out FILE]

Milliseconds are those of the processor, so that the figures hold on a machine that does something else as well.
`first` is the first reply of a kind after the run was read in, as for the first page that is opened; `again` the
median of the next ones, each asked for another place of the run where there is one; `ratio` what that comes to of
the smallest size. `live` is the first reply after the run went on, with all that is kept made anew: the page of a
run that goes on asks for it once in a while. The runs are SIMULATED (`swarm.testing.staged`); what is read is as
with any run. With --keep, staged runs are left there, and found again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.testing.staged import Script, staged

TIMES = 7
Asked = tuple[str, str, Callable[[int], dict[str, Any]]]


def asked(look: Look) -> Iterator[Asked]:
    """What is asked for, by the name in the table, with the parameters of each time."""
    followed = look.fresh()
    findings = [row["id"] for row in ENDPOINTS["nodes"](look, limit=50)["rows"]]
    sources = [one["id"] for one in ENDPOINTS["coverage"](look, limit=50)["sources"]]
    (branch,) = followed.plan.branches
    slices, keys = list(followed.plan.slices), followed.calls.keys
    mill = next(
        row["id"] for row in ENDPOINTS["nodes"](look, kind="entity", limit=50)["rows"] if row["text"] == "mill"
    )
    seconds, claims = followed.last - followed.begun, look.graph.claims
    yield "overview", "overview", lambda n: {}
    yield "nodes, the first page", "nodes", lambda n: {}
    yield "nodes, anywhere", "nodes", lambda n: {"offset": claims * n // TIMES}
    yield "nodes, a search", "nodes", lambda n: {"q": f"mill {7 * n + 3} driven by wind"}
    yield "node, a finding", "node", lambda n: {"id": findings[n]}
    yield "node, what all are about", "node", lambda n: {"id": mill}
    yield "source", "source", lambda n: {"id": sources[n % len(sources)], "chars": 12_000}
    yield "tree, the top", "tree", lambda n: {}
    yield "disputes", "disputes", lambda n: {"offset": n}
    yield "plan", "plan", lambda n: {"branch": branch, "offset": len(slices) * n // TIMES}
    yield "slice", "slice", lambda n: {"id": slices[len(slices) * n // TIMES]}
    yield "timeline, all", "timeline", lambda n: {}
    yield "timeline, a part", "timeline", lambda n: {
        "from_": followed.begun + seconds * n / 9, "to": followed.begun + seconds * (n + 1) / 9,
    }  # fmt: skip
    yield "cost", "cost", lambda n: {}
    yield "windows", "windows", lambda n: {}
    yield "calls", "calls", lambda n: {"sort": "cost", "offset": len(keys) * n // TIMES}
    yield "call", "call", lambda n: {"key": keys[len(keys) * n // TIMES].hex()}
    yield "coverage", "coverage", lambda n: {"offset": n, "sort": "findings"}


def measured(path: Path) -> tuple[float, dict[str, tuple[float, float, float]]]:
    """Milliseconds to read the run in, and of each kind of reply the first, again, and live."""
    found: dict[str, tuple[float, float, float]] = {}
    with open_run("last", path) as opened:
        began = time.process_time()
        Look(opened).fresh()
        read = 1e3 * (time.process_time() - began)
        for name, endpoint, given in asked(Look(opened)):
            look = Look(opened)
            look.fresh()

            def ask(n: int, look: Look = look, endpoint: str = endpoint, given: Any = given) -> float:
                parameters = given(n)
                began = time.process_time()
                json.dumps(ENDPOINTS[endpoint](look, **parameters))
                return 1e3 * (time.process_time() - began)

            first = ask(0)
            again = statistics.median(ask(n) for n in range(1, TIMES))
            look.follower.version += 1  # as if something new had been read: all that is kept is out of date
            found[name] = (first, again, ask(0))
    return read, found


def shown(sizes: list[int], results: list[tuple[float, dict[str, tuple[float, float, float]]]]) -> Iterator[str]:
    head = " ".join(f"{f'{size:,}: first':>16} {'again':>7} {'live':>7} {'ratio':>6}" for size in sizes)
    yield f"{'milliseconds':26}{head}"
    for name in results[0][1]:
        line = f"{name:26}"
        for _, rows in results:
            first, again, live = rows[name]
            ratio = again / max(results[0][1][name][1], 0.05)
            line += f"{first:16.1f} {again:7.1f} {live:7.1f} {ratio:6.1f} "
        yield line.rstrip()
    yield (
        f"{'the run is read in':26}"
        + " ".join(f"{read:16.1f} {'':7} {'':7} {'':6}" for read, _ in results).rstrip()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            path = (given.keep or Path(folder)) / f"{size}.db"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                asyncio.run(staged(path, Script(findings=size, each=5, places=64)))
            results.append(measured(path))
    print("\n".join(shown(given.sizes, results)))
    if given.out:
        table = {str(size): rows for size, (_, rows) in zip(given.sizes, results, strict=True)}
        given.out.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    sys.exit(main())
