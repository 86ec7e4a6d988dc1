"""The graph of a run from its journal, where the store does not hold it: made by an older version, or lost.

Every record that changes a graph is written together with the change, so a graph that is there is complete.
"""

from __future__ import annotations

from collections.abc import Iterator

from swarm.coordinator.desk import REPORT, SUMMARY, VERDICT
from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Part, Removal
from swarm.store.journal import Journal
from swarm.task import Report

_BATCH = 500


async def restore(journal: Journal, graph: SharedGraph) -> None:
    """Merge what the journal holds of the run into its graph, if the store has no such graph."""
    if graph.num:
        return
    batch: list[Part] = []
    for part in parts(journal, graph.run):
        batch.append(part)
        if len(batch) == _BATCH:
            await graph.merge(*batch)
            batch = []
    if batch:
        await graph.merge(*batch)


def parts(journal: Journal, run: str) -> Iterator[Part]:
    """All that the records of a run say of its graph."""
    for kind in ("report", "failure"):
        for record in journal.records(run, kind):
            yield REPORT.validate_python(record.body)
    for record in journal.records(run, "unmatched"):
        yield from (Report(slice=slice_, question="") for slice_ in record.body["slices"])
    for record in journal.records(run, "verdict"):
        yield VERDICT.validate_python(record.body)
    for record in journal.records(run, "removal"):
        yield Removal(source=record.body["source"])
    for record in journal.records(run, "summary"):
        yield SUMMARY.validate_python(record.body)
