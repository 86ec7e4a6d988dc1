"""How the shared graph grows: merging, memory, views, consolidation, loading, at 10k, 100k and 1M findings in
one run.

    python tests/bench/graph.py --data DIR [--sizes 10000 100000 1000000] [--out bench-results/graph.json]

The findings are sentences of the text below the folders named with `--data`, five to a report, a thousand to a
source; where the text has fewer sentences than are wanted, the beginning of one goes on with the end of another.
Relevance has one decimal, as models give it. Merges are durable, many tasks at a time; twenty reports go into
one call, or a single one, as a run does it when each slice reports by itself. Baselines of the same run: the
same claims written to a bare SQLite table with a full-text index, durably, which any store has to pay; and put
into a networkx graph in memory.

Consolidation is driven by a SIMULATED model that writes the first words of what it is shown: its texts mean
nothing, but what is read and written, and what the tree costs, is as with any model. Everything else is real.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from swarm.graph import tree
from swarm.graph.cover import due
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import finding_id, summary_id
from swarm.graph.nodes import Statement, Summary
from swarm.source import Source, Span
from swarm.store.database import Database
from swarm.task import Finding, Report
from swarm.views.view import view

A_REPORT, A_SOURCE, BATCH, TASKS = 5, 1_000, 20, 32
QUESTIONS = 40
SUMMARY_WORDS = 110
LOAD = """
import sys, time
from pathlib import Path
began = time.perf_counter()
from swarm.graph.graph import SharedGraph
from swarm.store.database import Database
from swarm.views.view import view
imported = time.perf_counter()
database = Database.open(Path(sys.argv[1]))
graph = SharedGraph(database, "bench")
count, fingerprint = len(graph), graph.fingerprint()
opened = time.perf_counter()
view(graph, sys.argv[2], 4000)
print(opened - imported, time.perf_counter() - opened)
database.close()
"""


def sentences(folders: list[Path]) -> Iterator[str]:
    """Claims without end: real sentences, and then the beginning of one with the end of another."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*.md")):
            for sentence in re.split(r"(?<=[.!?])\s+", path.read_text("utf-8", "replace")):
                plain = " ".join(sentence.split())
                if 40 <= len(plain) <= 220:
                    found.append(plain)
    random.Random(1).shuffle(found)
    yield from found
    for step in range(1, len(found)):
        for at, sentence in enumerate(found):
            words, other = sentence.split(), found[(at + 7 * step) % len(found)].split()
            yield " ".join([*words[: len(words) // 2], *other[len(other) // 2 :]])


def reports(folders: list[Path]) -> Iterator[Report]:
    dice = random.Random(2)
    claims = sentences(folders)
    number = 0
    while True:
        findings = []
        for claim in islice(claims, A_REPORT):
            start = number % A_SOURCE * 200
            span = Span(f"s{number // A_SOURCE:08}", start, start + len(claim))
            relevance = dice.randint(0, 10) / 10
            findings.append(Finding(id=finding_id(claim), claim=claim, evidence=(span,), relevance=relevance))
            number += 1
        yield Report(slice=f"p{number}", question="What happened?", findings=tuple(findings))


async def merge(graph: SharedGraph, many: list[Report], batch: int = BATCH) -> float:
    """Seconds to merge these reports, as many tasks as a run has."""
    places = asyncio.Semaphore(TASKS)

    async def one(some: list[Report]) -> None:
        async with places:
            await graph.merge(*some)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for start in range(0, len(many), batch):
            tasks.create_task(one(many[start : start + batch]))
    return time.perf_counter() - began


def consolidate(graph: SharedGraph, fresh: int) -> dict[str, float]:
    """Write all summaries that are due; tokens as the tree counts them."""
    began, read, written, count, level = time.perf_counter(), 0, 0, 0, 0
    while level < tree.levels(graph.database.read, graph.num):
        level += 1
        for group in due(graph, level, 200, fresh):
            covers = tuple(sorted(row.id for row in group.children))
            words = " ".join(row.text for row in group.children).split()[:SUMMARY_WORDS]
            text = " ".join(words)
            made = Summary(
                id=summary_id(level, covers, [text]),
                level=level,
                statements=(Statement(text=text, rests_on=covers[:4]),),
                covers=covers,
            )
            graph.database.write_sync(graph.change(made))
            read += sum(tree.mass(row.text) for row in group.children)
            written += tree.mass(text)
            count += 1
    seconds = time.perf_counter() - began
    return {"summaries": count, "read": read, "written": written, "seconds": seconds, "levels": level}


def questions(folders: list[Path]) -> list[str]:
    """Words of real sentences: names and common words alike."""
    dice = random.Random(3)
    some = list(islice(sentences(folders), 5_000))
    return [" ".join(dice.choice(some).split()[:12]) for _ in range(QUESTIONS)]


def views(graph: SharedGraph, asked: list[str]) -> tuple[float, float]:
    """Median and 95th percentile of the milliseconds that a view of 4,000 tokens takes."""
    taken = []
    for question in asked:
        began = time.perf_counter()
        view(graph, question, 4_000)
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


def loaded(store: Path, question: str) -> tuple[float, float]:
    """Seconds to open a stored graph in a new process, and to the end of a first view after that."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(store), question], capture_output=True, text=True, check=True
    )
    opened, viewed = done.stdout.split()
    return float(opened), float(viewed)


def bare_store(folder: Path, count: int, folders: list[Path]) -> float:
    """Findings a second into a bare table with a full-text index, in transactions of a hundred."""
    connection = apsw.Connection(str(folder / "bare.db"))
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE f (id TEXT PRIMARY KEY, claim TEXT); CREATE VIRTUAL TABLE i USING fts5(claim)"
    )
    rows = [(finding_id(claim), claim) for claim in islice(sentences(folders), count)]
    began = time.perf_counter()
    for start in range(0, count, 100):
        with connection:
            connection.executemany("INSERT OR IGNORE INTO f VALUES (?, ?)", rows[start : start + 100])
            connection.executemany(
                "INSERT INTO i (claim) VALUES (?)", [row[1:] for row in rows[start : start + 100]]
            )
    return count / (time.perf_counter() - began)


def in_networkx(count: int, folders: list[Path]) -> tuple[float, float]:
    """Findings a second into networkx, and the bytes that each takes."""
    import networkx as nx

    many = list(islice(reports(folders), count // A_REPORT))
    before, began = resident(), time.perf_counter()
    graph: nx.DiGraph[str] = nx.DiGraph()
    for report in many:
        for finding in report.findings:
            graph.add_node(finding.id, kind="finding", claim=finding.claim, relevance=finding.relevance)
            graph.add_edge(finding.id, finding.evidence[0].source, kind="cites", span=finding.evidence[0][1:])
            graph.add_edge(finding.id, report.slice, kind="derived_from")
    seconds = time.perf_counter() - began
    return count / seconds, (resident() - before) / count


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(sizes: list[int], folders: list[Path], work: Path) -> list[dict[str, Any]]:
    store = work / "store.db"
    asked = questions(folders)
    database = Database.open(store)
    graph = SharedGraph(database, "bench")
    coming = reports(folders)
    held = [next(coming)]  # the text itself is read with the first
    base = resident()
    rows: list[dict[str, Any]] = []
    merged, rate = 0, 0.0
    for size in sizes:
        while merged < size:
            step = min(10_000, size - merged)
            many = [*held, *islice(coming, step // A_REPORT - len(held))]
            held = []
            sources = {span.source for report in many for finding in report.findings for span in finding.evidence}
            database.write_sync(
                graph.change(*(Source(id=s, path=f"{s}.md", media="text", chars=1, bytes=1) for s in sources))
            )
            seconds = asyncio.run(merge(graph, many))
            merged += step
            rate = step / seconds
        row: dict[str, Any] = {"findings": size, "merged_a_second": rate, "claims": graph.claims}
        singly = list(islice(coming, 400))
        row["merged_singly_a_second"] = A_REPORT * len(singly) / asyncio.run(merge(graph, singly, 1))
        merged += A_REPORT * len(singly)
        row["memory_bytes"] = (resident() - base) / size
        began = time.perf_counter()
        row["fingerprint"] = graph.fingerprint()
        row["fingerprint_ms"] = 1e3 * (time.perf_counter() - began)
        row["view_ms"], row["view_p95_ms"] = views(graph, asked)
        row["consolidation"] = consolidate(graph, 0)
        extra = list(islice(coming, 200))
        asyncio.run(merge(graph, extra))
        row["after_1000_more"] = consolidate(graph, 120)
        merged += 1_000
        row["view_with_summaries_ms"], row["view_with_summaries_p95_ms"] = views(graph, asked)
        database.close()
        row["disk_bytes"] = sum(path.stat().st_size for path in work.glob("store.db*")) / merged
        row["open_s"], row["first_view_s"] = loaded(store, asked[0])
        row["bare_a_second"] = bare_store(work, min(size, 100_000), folders)
        (work / "bare.db").unlink()
        if size <= 100_000:
            row["networkx_a_second"], row["networkx_bytes"] = in_networkx(size, folders)
        database = Database.open(store)
        graph = SharedGraph(database, "bench")
        rows.append(row)
        show(row)
    database.close()
    return rows


def show(row: dict[str, Any]) -> None:
    size, work, more = row["findings"], row["consolidation"], row["after_1000_more"]
    read, written, spent = work["read"] / size, work["written"] / size, 1e6 * work["seconds"] / size
    seen, late = row["view_with_summaries_ms"], row["view_with_summaries_p95_ms"]
    lines = [
        f"{size:,} findings",
        f"  merged a second        {row['merged_a_second']:10,.0f}   bare table {row['bare_a_second']:,.0f}",
        f"    a report at a time   {row['merged_singly_a_second']:10,.0f}",
        f"  memory, bytes each     {row['memory_bytes']:10,.0f}   on disk {row['disk_bytes']:,.0f}",
        f"  view of 4k tokens, ms  {row['view_ms']:10.1f}   95% {row['view_p95_ms']:.1f}",
        f"    with summaries       {seen:10.1f}   95% {late:.1f}",
        f"  fingerprint, ms        {row['fingerprint_ms']:10.3f}",
        f"  open, s                {row['open_s']:10.3f}   first view {row['first_view_s']:.3f}",
        f"  consolidation (SIMULATED model): {work['summaries']:,.0f} summaries on {work['levels']:.0f} levels;",
        f"    a finding            {read:10.0f} tokens read, {written:.0f} written, {spent:.0f} us",
        f"    one of 1,000 more    {more['read'] / 1e3:10.0f} tokens read, {more['written'] / 1e3:.0f} written",
    ]
    if "networkx_bytes" in row:
        rate, each = row["networkx_a_second"], row["networkx_bytes"]
        lines.insert(3, f"  in networkx, a second  {rate:10,.0f}   bytes each {each:,.0f}")
    print("\n" + "\n".join(lines), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="a folder of text; may be repeated"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path("bench-results/graph.json"))
    options = parser.parse_args()
    gc.set_threshold(100_000, 50, 50)  # as the command line does
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as work:
        rows = measure(options.sizes, options.data, Path(work))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
