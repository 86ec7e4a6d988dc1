"""What a run knows, in a user's hand: opened down to its bytes, saved and loaded without loss, and unlearnt."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

from swarm.errors import SourceError, StoreError, UsageError
from swarm.knowledge import Knowledge, open_knowledge
from swarm.run import Swarm
from swarm.store.database import Database
from swarm.store.opening import open_store
from swarm.task import Task

MILL = (
    "# Mill\nThe mill burnt in 1812. It has 12 wheels. The toll at Marrow Bridge was 14 pence.\n"
    "Ann Smith owns the mill. The mill was not rebuilt.\n"
)
AGAIN = "# Again\nIn 1812 the mill burnt. The mill was rebuilt. Ann Smith was born in Kessoway.\n"

KNOWN = ("finding", "entity", "summary", "source", "slice", "decision", "artifact")
"""What may rest on a source; what the coordinator asked along the way is kept."""


@pytest.fixture
async def run(tmp_path: Path) -> tuple[str, Path]:
    """A finished run over two small files, and its store."""
    (tmp_path / "a.md").write_text(MILL)
    (tmp_path / "b.md").write_text(AGAIN)
    store = tmp_path / "store.db"
    paths = (str(tmp_path / "a.md"), str(tmp_path / "b.md"))
    task = Task(questions=("What happened to the mill and to Ann Smith?",), paths=paths)
    answer = await Swarm(store=store).run(task)
    return answer.run_id, store


def test_every_finding_opens_down_to_the_exact_characters_of_its_source(
    run: tuple[str, Path], tmp_path: Path
) -> None:
    with open_knowledge(*run) as known:
        assert len(known) >= 4
        for finding in known.findings():
            opened = known.open(finding.id[:10])
            assert opened.node.id == finding.id
            for where, span, quote in opened.evidence:
                assert Path(where.path).read_text()[span.start : span.end] == quote
                assert where.line is not None


def test_a_view_names_the_place_and_an_id_that_opens(run: tuple[str, Path]) -> None:
    with open_knowledge(*run) as known:
        seen = known.view("Who owns the mill?", tokens=400)
        assert "Ann Smith owns the mill. (" in seen.text
        assert "a.md:3" in seen.text
        assert {known.open(id_).node.kind for id_ in seen.ids} == {"finding"}


def test_search_finds_nodes_of_the_kinds_asked_for(run: tuple[str, Path]) -> None:
    with open_knowledge(*run) as known:
        assert known.search("Kessoway", kinds=("finding",))[0].text == "Ann Smith was born in Kessoway."
        assert [node.kind for node in known.search("kessoway", kinds=("entity",))] == ["entity"]
        assert known.search("zebra") == []
        assert known.search('") OR text MATCH ("', limit=3) == []


def test_what_the_sources_disagree_on_is_told_with_both_sides(run: tuple[str, Path]) -> None:
    with open_knowledge(*run) as known:
        ((one, other),) = known.contradictions()
        assert {one.claim, other.claim} == {"The mill was rebuilt.", "The mill was not rebuilt."}


@pytest.mark.parametrize("ending", [".json", ".graphml"])
def test_a_saved_graph_loads_again_without_loss(run: tuple[str, Path], tmp_path: Path, ending: str) -> None:
    saved = tmp_path / f"graph{ending}"
    with open_knowledge(*run) as known:
        known.save(saved)
        before, counts, findings = known.fingerprint, known.counts(), known.findings()
    with open_store(tmp_path / "other.db") as store:
        again = Knowledge(store, "loaded")
        again.load(saved)
        again.load(saved)
        assert again.fingerprint == before
        assert again.counts() == counts
        assert again.findings() == findings
        assert len(list(again.contradictions())) == 1


def test_networkx_reads_the_json_and_shows_the_same_graph_frozen(run: tuple[str, Path], tmp_path: Path) -> None:
    with open_knowledge(*run) as known:
        known.save(tmp_path / "g.json")
        live = known.networkx()
        best = known.networkx(limit=1)
    data = json.loads((tmp_path / "g.json").read_text("utf-8"))
    read = nx.node_link_graph(data, edges="edges")
    assert set(read.nodes) == set(live.nodes)
    assert set(read.edges(keys=True)) == set(live.edges(keys=True))
    kinds = {kind for *_, kind in live.edges(keys=True)}
    assert kinds >= {"cites", "covers", "about", "derived_from", "answers", "supports", "contradicts"}
    assert sum(kind == "finding" for _, kind in best.nodes(data="kind")) == 1
    with pytest.raises(nx.NetworkXError):
        live.add_node("x")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("not json", "JSONDecodeError"),
        ("{}", "KeyError"),
        (
            '{"graph": {"format": "other", "version": 1, "fingerprint": ""}, "nodes": [], "edges": []}',
            "format other",
        ),
        ('{"graph": {"format": "swarm-graph", "version": 9, "fingerprint": ""}, "nodes": [], "edges": []}', "9"),
        (
            '{"graph": {"format": "swarm-graph", "version": 1, "fingerprint": ""}, "nodes": [{}], "edges": []}',
            "id",
        ),
        (
            '{"graph": {"format": "swarm-graph", "version": 1, "fingerprint": ""}, "nodes": [], "edges": [1]}',
            "dict",
        ),
    ],
)
def test_a_file_that_is_no_graph_is_refused_in_one_line(
    run: tuple[str, Path], tmp_path: Path, content: str, complaint: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with open_knowledge(*run) as known:
        before = known.fingerprint
        with pytest.raises(SourceError, match=complaint) as caught:
            known.load(path)
        assert "\n" not in str(caught.value)
        assert known.fingerprint == before


def test_unlearning_removes_what_rests_on_a_source_alone_and_reports_it(
    run: tuple[str, Path], tmp_path: Path
) -> None:
    with open_knowledge(*run) as known:
        done = known.unlearn(str(tmp_path / "b.md"))
        assert done.findings >= 3
        assert (done.standing, done.summaries) == (1, 0), "one finding stood for one of the other source"
        texts = {finding.claim for finding in known.findings()}
        assert "The mill was rebuilt." not in texts
        assert "The mill burnt in 1812." in texts, "it rested on the other source too, in other words"
        assert list(known.contradictions()) == []
        assert known.search("Kessoway", kinds=KNOWN) == []
        assert "Kessoway" not in json.dumps([node.text for node in known.search("Ann Smith")])
        with pytest.raises(UsageError, match="no source"):
            known.unlearn("b.md")
    data = (run[1]).read_bytes()
    assert b"Kessoway" in data, "the journal and the text that was read are kept; the graph is not"


async def test_what_was_unlearnt_does_not_come_back_when_the_run_goes_on(
    run: tuple[str, Path], tmp_path: Path
) -> None:
    run_id, store = run
    with open_knowledge(run_id, store) as known:
        known.unlearn(str(tmp_path / "b.md"))
    answer = await Swarm(store=store).resume(run_id)
    assert all(Path(citation.source).name == "a.md" for citation in answer.citations)
    assert answer.contradictions == ()
    with open_knowledge(run_id, store) as known:
        assert known.search("Kessoway", kinds=KNOWN) == []


async def test_a_graph_that_was_lost_is_made_again_from_the_journal(run: tuple[str, Path]) -> None:
    run_id, store = run
    with open_knowledge(run_id, store) as known:
        before, counts = known.fingerprint, known.counts()
    database = Database.open(store)
    tables = (
        "graphs",
        "nodes",
        "evidence",
        "edges",
        "alike",
        "slots",
        "disputed",
        "tree",
        "branches",
        "node_index",
    )
    for table in tables:
        database.write_sync(lambda connection, table=table: connection.execute(f"DELETE FROM {table}") and None)
    database.close()
    answer = await Swarm(store=store).resume(run_id)
    assert answer.graph == before
    with open_knowledge(run_id, store) as known:
        assert known.counts() == counts


def test_what_is_not_there_is_told_in_one_line(run: tuple[str, Path], tmp_path: Path) -> None:
    run_id, store = run
    for wrong in (("nobody", store), (run_id, tmp_path / "none.db")):
        with pytest.raises(StoreError), open_knowledge(*wrong):
            pass
    with open_knowledge(run_id, store) as known:
        with pytest.raises(UsageError, match="no node"):
            known.open("f0000")
        with pytest.raises(UsageError, match="more than one"):
            known.open("f")
        with pytest.raises(UsageError, match="no format"):
            known.save(tmp_path / "graph.xml")
