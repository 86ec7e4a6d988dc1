"""The graph of a run from its journal: when the run goes on, and where the store does not hold it.

A run that goes on works through its phases again, with every reply taken from the journal: what it shows a model
must be what it showed before, and no more. So its graph begins empty, and grows as reports are found again. What
was unlearnt since stays so from the first.
"""

from __future__ import annotations

from collections.abc import Iterator

from swarm.coordinator.desk import READ, REPORT, SUMMARY, VERDICT
from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Part, Removal
from swarm.store.journal import Journal


async def begin(journal: Journal, graph: SharedGraph) -> None:
    """Make the graph of a run ready for the run to begin, or to go on."""
    await graph.clear()
    removals = list(_removals(journal, graph.run))
    if removals:
        await graph.merge(*removals)


def is_behind(journal: Journal, graph: SharedGraph) -> bool:
    """Whether the journal holds reports that the graph does not: it was made by an older version, or the process
    died as the run went on."""
    reported = journal.count(graph.run, "report") + journal.count(graph.run, "failure")
    sql = (
        "SELECT count(*) FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = 'slice' "
        "AND state = 'live' AND num BETWEEN ? AND ?"
    )
    return bool(reported > graph.database.read(sql, graph.range)[0][0])


def parts(journal: Journal, run: str) -> Iterator[Part]:
    """All that the records of a run say of its graph."""
    yield from _removals(journal, run)
    for record in journal.records(run, "slice"):
        read = READ.validate_python(record.body)
        yield read.slice
        yield from read.sources
    for kind in ("report", "failure"):
        for record in journal.records(run, kind):
            yield REPORT.validate_python(record.body)
    for record in journal.records(run, "verdict"):
        yield VERDICT.validate_python(record.body)
    for record in journal.records(run, "summary"):
        yield SUMMARY.validate_python(record.body)


def _removals(journal: Journal, run: str) -> Iterator[Part]:
    for record in journal.records(run, "removal"):
        yield Removal(source=record.body["source"])
