"""`swarm graph`: what a run knows, listed, searched, opened, viewed, saved, loaded and unlearnt.

It prints; `swarm/knowledge.py` does the work. What comes from sources and models is cleaned before it is shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.cli.again import resume_with
from swarm.cli.options import Settings
from swarm.cli.plain import clean, number, one_line, plural

if TYPE_CHECKING:
    from swarm.graph.nodes import Edge, Node
    from swarm.knowledge import Knowledge, Opened

_ID = 12  # characters of an id are enough to open it
_EDGES = 12  # shown of each kind
_TOP = 10

_Search = Annotated[str | None, typer.Option("--search", metavar="WORDS", help="Find nodes by their words.")]
_Open = Annotated[str | None, typer.Option("--open", metavar="ID", help="Show one node down to its evidence.")]
_View = Annotated[
    str | None, typer.Option("--view", metavar="QUESTION", help="What an agent would be shown on a question.")
]
_Tokens = Annotated[int, typer.Option("--tokens", metavar="N", min=64, help="The budget of a view.")]
_List = Annotated[
    str | None,
    typer.Option(
        "--list",
        metavar="KIND",
        help="List nodes of a kind (finding, summary, source, entity, question, …), or contradictions.",
    ),
]
_Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to list or find.")]
_Save = Annotated[
    Path | None, typer.Option("--save", metavar="FILE", help="Write the graph to a .json, .graphml or .html file.")
]
_Load = Annotated[Path | None, typer.Option("--load", metavar="FILE", help="Merge a saved graph into this one.")]
_Unlearn = Annotated[
    str | None,
    typer.Option("--unlearn", metavar="SOURCE", help="Remove a source, and all that rests on it alone."),
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def graph(
    run: Annotated[
        str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, its beginning, or last.")
    ],
    search: _Search = None,
    open_: _Open = None,
    view: _View = None,
    tokens: _Tokens = 4_000,
    list_: _List = None,
    limit: _Limit = 20,
    save: _Save = None,
    load: _Load = None,
    unlearn: _Unlearn = None,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Look into what a run knows: its shared graph.

    Without an option: what it holds, what its findings disagree on, and the most relevant of them.
    """
    from swarm.errors import UsageError
    from swarm.history import find
    from swarm.knowledge import open_knowledge

    chosen = [name for name, value in _asked(search, open_, view, list_, save, load, unlearn) if value is not None]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} are two things: give one of them at a time")
    run = find(run, store)
    if save is not None and save.suffix == ".html":
        return _report(run, store, save, as_json)
    with open_knowledge(run, store) as known:
        if search is not None:
            found = known.search(search, limit)
            _print(as_json, {"nodes": [asdict(node) for node in found]}, map(_node_line, found))
        elif open_ is not None:
            opened = known.open(open_)
            _print(as_json, _opened_document(opened), _opened_lines(opened))
        elif view is not None:
            seen = known.view(view, tokens)
            said = {"text": seen.text, "tokens": seen.tokens, "omitted": seen.omitted, "ids": sorted(seen.ids)}
            _print(as_json, said, [clean(seen.text) or "nothing is known on that"])
        elif list_ is not None:
            _list(known, list_, limit, as_json)
        elif save is not None:
            known.save(save)
            _print(as_json, {"saved": str(save)}, [f"saved to {save}"])
        elif load is not None:
            before = len(known)
            known.load(load)
            told = {"fingerprint": known.fingerprint, "findings": len(known), "before": before}
            _print(as_json, told, [f"{plural(len(known), 'finding')}, {before:,} before"])
        elif unlearn is not None:
            _unlearn(known, unlearn, run, store, as_json)
        else:
            _overview(known, run, as_json)
    return 0


def _asked(*values: object) -> Iterable[tuple[str, object]]:
    names = ("--search", "--open", "--view", "--list", "--save", "--load", "--unlearn")
    return zip(names, values, strict=True)


def _report(run: str, store: str | None, path: Path, as_json: bool) -> int:
    """A page to look at: the report of the run."""
    from swarm.cli.report import lines, save

    _print(as_json, {"saved": str(path)}, lines(path, save(run, store, path)))
    return 0


def _print(as_json: bool, document: dict[str, Any], lines: Iterable[str]) -> None:
    if as_json:
        sys.stdout.write(f"{json.dumps(document, ensure_ascii=True)}\n")
        return
    for line in lines:
        sys.stdout.write(f"{line}\n")


def _overview(known: Knowledge, run: str, as_json: bool) -> None:
    counts = known.counts()
    disputes = list(_some(known, _TOP))
    best = known.findings(_TOP)
    document = {
        "run": run,
        "fingerprint": known.fingerprint,
        "counts": counts,
        "contradictions": [[one.id, other.id] for one, other in disputes],
        "findings": [{"id": finding.id, "claim": finding.claim} for finding in best],
    }
    lines = [
        f"graph of {run}, fingerprint {known.fingerprint}",
        ", ".join(_counted(count, kind) for kind, count in counts.items()),
    ]
    if disputes:
        lines += ["", "disagree:"]
        for one, other in disputes:
            lines += [
                f"  {one.id[:_ID]}  {one_line(one.claim, 90)}",
                f"  {other.id[:_ID]}  {one_line(other.claim, 90)}",
            ]
    if best:
        lines += ["", "most relevant:"]
        lines += [f"  {finding.id[:_ID]}  {one_line(finding.claim, 96)}" for finding in best]
    _print(as_json, document, lines)


def _counted(count: int, kind: str) -> str:
    several = {"entity": "entities", "summary": "summaries"}.get(kind)
    return plural(count, kind) if several is None or count == 1 else f"{count:,} {several}"


def _some(known: Knowledge, limit: int) -> Iterable[Any]:
    for count, pair in enumerate(known.contradictions()):
        if count == limit:
            return
        yield pair


def _list(known: Knowledge, kind: str, limit: int, as_json: bool) -> None:
    from swarm.errors import UsageError
    from swarm.graph.nodes import KINDS

    if kind == "contradictions":
        pairs = list(_some(known, limit))
        document: dict[str, Any] = {"contradictions": [[asdict(one), asdict(other)] for one, other in pairs]}
        lines = [
            f"{one.id[:_ID]}  {one_line(one.claim)}\n{other.id[:_ID]}  {one_line(other.claim)}"
            for one, other in pairs
        ]
    elif kind == "finding":
        best = known.findings(limit)
        document = {"findings": [asdict(finding) for finding in best]}
        lines = [f"{finding.id[:_ID]}  {one_line(finding.claim, 110)}" for finding in best]
    elif kind in KINDS:
        nodes = list(known.nodes(kind, limit))
        document = {"nodes": [asdict(node) for node in nodes]}
        lines = [_node_line(node) for node in nodes]
    else:
        raise UsageError(f"--list {kind}: no such kind; there are {', '.join(KINDS)}, and contradictions")
    _print(as_json, document, lines)


def _unlearn(known: Knowledge, source: str, run: str, store: str | None, as_json: bool) -> None:
    done = known.unlearn(source)
    again = resume_with(Settings(store=store))(run, None)
    lines = [
        f"removed {done.source}: {plural(done.findings, 'finding')} rested on it alone and went with it; "
        f"{plural(done.kept, 'finding')} rest on other sources too and stay",
        f"{done.standing:,} that one of those had stood for now stand for themselves; "
        + (
            f"{done.summaries:,} summaries that spoke for what went are gone, and are written again by: {again}"
            if done.summaries
            else "no summary spoke for what went"
        ),
    ]
    _print(as_json, asdict(done), lines)


# One node


def _node_line(node: Node) -> str:
    return f"{node.id[:_ID]}  {node.kind:9} {one_line(node.text, 100)}"


def _opened_document(opened: Opened) -> dict[str, Any]:
    return {
        "node": asdict(opened.node),
        "evidence": [
            {"source": span.source, "start": span.start, "end": span.end, "where": str(where), "quote": text}
            for where, span, text in opened.evidence
        ],
        "inside": [asdict(node) for node in opened.inside],
        "edges": [asdict(edge) for edge in opened.edges],
    }


def _opened_lines(opened: Opened) -> list[str]:
    node = opened.node
    lines = [f"{node.kind} {node.id}", one_line(node.text)]
    for name, value in node.more.items():
        if name not in ("statements", "covers", "spans", "evidence") and value not in (None, "", [], 0):
            lines.append(f"  {name}: {one_line(str(value), 100)}")
    for where, _, text in opened.evidence:
        lines += ["", f"  {one_line(str(where))}", f'    "{one_line(text, 400)}"']
    if opened.inside:
        lines += ["", f"stands for {number(len(opened.inside))}:"]
        lines += [f"  {_node_line(inner)}" for inner in opened.inside]
    by_kind: dict[str, list[Edge]] = {}
    for edge in opened.edges:
        if edge.kind not in ("cites", "summarises") or edge.source != node.id:
            arrow = f"{edge.kind} ->" if edge.source == node.id else f"<- {edge.kind}"
            by_kind.setdefault(arrow, []).append(edge)
    if by_kind:
        lines.append("")
    for arrow, edges in by_kind.items():
        ends = [edge.target if edge.source == node.id else edge.source for edge in edges]
        more = f" and {len(ends) - _EDGES:,} more" if len(ends) > _EDGES else ""
        lines.append(f"  {arrow} {', '.join(end[:_ID] for end in ends[:_EDGES])}{more}")
    return lines
