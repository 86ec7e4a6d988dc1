"""A graph as a page: it shows what is in the graph, nothing in it can act, and it is bounded."""

from __future__ import annotations

import io
import json
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from swarm.errors import StoreError
from swarm.graph import page
from swarm.graph.cover import due
from swarm.graph.export import nodes
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import finding_id, summary_id
from swarm.graph.nodes import Part, Statement, Summary
from swarm.graph.page import MAX_CHARS, MAX_QUOTES, write_page
from swarm.graph.show import leaving
from swarm.source import Source, Span
from swarm.task import Finding, Report, Slice

Build = Callable[..., SharedGraph]

TEMPLATE = files("swarm.graph").joinpath("page.html").read_text("utf-8")
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script> <img src=x onerror=alert(2)>",
    "]]> &lt;/script&gt; \u2028\u2029 {{data}} {{policy}}",
    "\x00\r\n\t\x7f\u202e \\u003c/script\\u003e",
)


def source(name: str, path: str | None = None) -> Source:
    return Source(id=name, path=path or f"{name}.md", media="text", chars=9_000, bytes=9_000)


def finding(claim: str, at: int = 0, relevance: float = 0.5, **more: Any) -> Finding:
    named = {name: more.get(name) for name in ("subject", "attribute", "value", "time")}
    evidence = more.pop("evidence", (Span("sa", at, at + 9),))
    return Finding(id=finding_id(claim, **named), claim=claim, evidence=evidence, relevance=relevance, **more)


def report(*findings: Finding, question: str = "What burnt?") -> Report:
    return Report(slice="p1", question=question, findings=findings, open_questions=("Who lit it?",))


def quote(span: Span) -> tuple[str, str]:
    return f"text of {span.start}", f"{span.source}.md:{span.start}"


def written(graph: SharedGraph, quote: Callable[[Span], tuple[str, str]] = quote) -> str:
    out = io.StringIO()
    write_page(graph, quote, out)
    return out.getvalue()


class Parsed(HTMLParser):
    """The tags and attributes of a page, and the content of its blocks, as a browser would tell them apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, str] = {}
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = f"{tag}#{dict(attrs).get('id', '')}"

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        self.content[self._within] = self.content.get(self._within, "") + data

    @property
    def policy(self) -> str:
        (found,) = [a["content"] for _, a in self.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert found is not None
        return found


def data_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Parsed(text).content["script#data"])
    return found


def mills() -> list[Part]:
    return [
        source("sa"),
        Slice(id="p1", question="What burnt?", spans=(Span("sa", 0, 90),), tokens=20),
        report(
            finding("The mill has 12 wheels.", 10, 0.9, subject="mill", attribute="wheels", value="12"),
            finding("The mill has 13 wheels.", 20, 0.1, subject="mill", attribute="wheels", value="13"),
            finding("Ann owned it in 1812.", 30, subject="mill", attribute="owner", value="Ann", time="1812"),
            finding("Bob owned it in 1830.", 40, subject="mill", attribute="owner", value="Bob", time="1830"),
        ),
    ]


def test_the_page_holds_every_node_and_every_edge_of_the_graph(build: Build) -> None:
    graph = build(mills())
    data = data_of(written(graph))
    held = {node["id"]: node for node in data["nodes"]}
    whole = list(nodes(graph))
    assert {id_: (node["kind"], node["text"]) for id_, node in held.items()} == {
        node.id: (node.kind, node.text) for _, node in whole
    }
    ids = [node["id"] for node in data["nodes"]]
    assert sorted((ids[edge[0]], edge[1], ids[edge[2]]) for edge in data["edges"]) == sorted(
        (edge.source, edge.kind, edge.target) for row, _ in whole for edge in leaving(graph, row)
    )
    assert {edge[1] for edge in data["edges"]} >= {"contradicts", "supersedes", "cites", "covers", "derived_from"}
    assert data["head"]["fingerprint"] == graph.fingerprint()
    assert data["head"]["counts"]["finding"] == 4
    mill = held[finding_id("Ann owned it in 1812.", "mill", "owner", "Ann", "1812")]
    assert mill["evidence"] == [["text of 30", "sa.md:30", "sa", 0]]
    assert (mill["subject"], mill["attribute"], mill["value"], mill["time"]) == ("mill", "owner", "Ann", "1812")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_source_or_a_model_breaks_out_of_the_data(build: Build, text: str) -> None:
    claim = finding(text, subject=text, attribute=text, value=text, unit=text)
    graph = build([source("sa", text), report(claim, question=text)])
    made = written(graph, lambda _: (text, text))
    assert [tag for tag, _ in Parsed(made).tags] == [tag for tag, _ in Parsed(TEMPLATE).tags]
    assert not re.search("[\u2028\u2029]", made)
    block = made.split('id="data">')[1].split("</script>")[0]
    assert not re.search("[<>&]", block)
    (shown,) = [node for node in data_of(made)["nodes"] if node["kind"] == "finding"]
    assert (shown["text"], shown["subject"], shown["unit"]) == (text, text, text)
    assert shown["evidence"] == [[text, text, "sa", 0]]
    assert text in {node["text"] for node in data_of(made)["nodes"] if node["kind"] == "source"}


def test_half_a_character_is_no_reason_to_fail(build: Build) -> None:
    made = written(build([report(finding("c"))]), lambda _: ("\ud800 half", "a.md:1"))
    made.encode()
    (shown,) = [node for node in data_of(made)["nodes"] if node["kind"] == "finding"]
    assert shown["evidence"][0][0] == "\ud800 half"


def test_the_policy_lets_the_script_and_the_style_of_the_page_run_and_nothing_else(build: Build) -> None:
    made = Parsed(written(build(mills())))
    policy = dict(rule.strip().split(" ", 1) for rule in made.policy.split(";"))
    hashes = {
        name: f"'sha256-{b64encode(sha256(made.content[block].encode()).digest()).decode()}'"
        for name, block in (("script-src", "script#"), ("style-src", "style#"))
    }
    assert policy == {
        "default-src": "'none'",
        **hashes,
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_page_loads_nothing_and_parses_no_html(build: Build) -> None:
    made = Parsed(written(build(mills())))
    for tag, attributes in made.tags:
        assert not {"src", "style", "action", "srcset"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#").startswith("#"), tag
    assert not re.search(r"https?:|url\(|@import|//\w+\.", TEMPLATE)
    assert not re.search(
        r"(inner|outer)HTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(|XMLHttp|import\(",
        TEMPLATE,
    )


def test_what_does_not_fit_is_left_out_by_relevance_and_counted(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_NODES", 10)
    many = [finding(f"Claim {n} of the town of T{n}.", 10 * n, n / 100) for n in range(40)]
    data = data_of(written(build([source("sa"), report(*many)])))
    kept = [node for node in data["nodes"] if node["kind"] == "finding"]
    assert [node["text"] for node in kept] == [one.claim for one in reversed(many[-10:])]
    assert data["head"]["counts"]["finding"] == 40
    about = {edge[2] for edge in data["edges"] if edge[1] == "about"}
    assert about == {n for n, node in enumerate(data["nodes"]) if node["kind"] == "entity"}
    assert all(0 <= place < len(data["nodes"]) for edge in data["edges"] for place in (edge[0], edge[2]))


def test_a_contradiction_is_kept_whatever_its_relevance(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_NODES", 10)
    many = [finding(f"Claim {n} of the town.", 10 * n, 0.95) for n in range(40)]
    data = data_of(written(build([*mills(), report(*many)])))
    kept = [node for node in data["nodes"] if node["kind"] == "finding"]
    assert len(kept) == 10
    (edge,) = [edge for edge in data["edges"] if edge[1] == "contradicts"]
    assert {data["nodes"][place]["value"] for place in (edge[0], edge[2])} == {"12", "13"}


def test_quotes_are_bounded_and_what_is_clipped_is_counted(build: Build) -> None:
    spans = tuple(Span("sa", 100 * n, 100 * n + 5_000) for n in range(20))
    asked: list[Span] = []

    def quote(span: Span) -> tuple[str, str]:
        asked.append(span)
        return "x" * (span.end - span.start), "sa.md:1"

    data = data_of(written(build([source("sa"), report(finding("c", evidence=spans))]), quote))
    (shown,) = [node for node in data["nodes"] if node["kind"] == "finding"]
    assert len(shown["evidence"]) == len(asked) == MAX_QUOTES
    assert {(len(text), clipped) for text, _, _, clipped in shown["evidence"]} == {(MAX_CHARS, 3_000)}
    assert max(span.end - span.start for span in asked) == MAX_CHARS
    assert shown["unshown"] == 12


def test_the_evidence_is_the_most_relevant_and_that_of_those_who_say_the_same(build: Build) -> None:
    claims = ("The mill burnt in 1812.", "In 1812 the mill burnt.")
    said = ((claims[0], 10, 0.2), (claims[0], 20, 0.8), (claims[1], 30, 0.5))
    graph = build([report(finding(*one)) for one in said])
    data = data_of(written(graph))
    shown = {node["text"]: [text for text, *_ in node["evidence"]] for node in data["nodes"] if "evidence" in node}
    (edge,) = [edge for edge in data["edges"] if edge[1] == "supports"]
    stands = data["nodes"][edge[2]]["text"]
    both = [["text of 20", "text of 10"], ["text of 30"]]
    mine = both[claims.index(stands)]
    assert shown[stands][: len(mine)] == mine
    assert sorted(shown[stands]) == ["text of 10", "text of 20", "text of 30"]


def test_a_summary_leads_down_to_what_it_covers(build: Build) -> None:
    many = [finding(f"The mill number {n} burnt.", 10 * n) for n in range(60)]
    graph = build([source("sa"), report(*many)])
    for level in (1, 2):
        for group in due(graph, level, 10, 0):
            covers = tuple(sorted(row.id for row in group.children))
            said = (Statement(text=f"Many mills burnt, says level {level}.", rests_on=covers),)
            id_ = summary_id(level, covers, (one.text for one in said))
            graph.database.write_sync(graph.change(Summary(id=id_, level=level, statements=said, covers=covers)))
    data = data_of(written(graph))
    held = {node["id"]: node for node in data["nodes"]}
    covered = {data["nodes"][edge[2]]["id"] for edge in data["edges"] if edge[1] == "summarises"}
    tops = [node for node in data["nodes"] if node["kind"] == "summary" and node["id"] not in covered]
    reached, waiting = set(), [node["id"] for node in tops]
    while waiting:
        node = held[waiting.pop()]
        reached.add(node["id"])
        waiting += [id_ for _, ids in node.get("statements", ()) for id_ in ids]
    assert tops[0]["level"] == 2
    assert {one.id for one in many} - reached == set()


def test_a_graph_whose_texts_are_elsewhere_has_a_page(build: Build) -> None:
    def quote(span: Span) -> tuple[str, str]:
        raise StoreError("no such source")

    data = data_of(written(build([report(finding("c", 7))]), quote))
    (shown,) = [node for node in data["nodes"] if node["kind"] == "finding"]
    assert shown["evidence"] == [[None, "7–16", "sa", 0]]


def test_an_empty_graph_has_a_page(build: Build) -> None:
    data = data_of(written(build()))
    assert (data["nodes"], data["edges"], data["head"]["counts"]) == ([], [], {})


def test_the_page_is_written_node_by_node(build: Build) -> None:
    class Out(io.StringIO):
        longest = 0

        def write(self, text: str) -> int:
            self.longest = max(self.longest, len(text))
            return super().write(text)

    out = Out()
    write_page(build([report(*(finding(f"claim {n} of many", n) for n in range(500)))]), quote, out)
    assert len(out.getvalue()) > 2 * len(TEMPLATE)
    assert out.longest <= len(TEMPLATE)
