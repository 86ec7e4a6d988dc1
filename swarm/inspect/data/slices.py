"""One slice whole: what it was to do with what, what came of it, and what it asked of models and tools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from swarm.inspect.data.bounds import clipped, short
from swarm.inspect.data.calls import rows_of
from swarm.inspect.data.columns import columns
from swarm.inspect.data.machines import of_slice
from swarm.inspect.data.rows import call_row, placed, slice_row
from swarm.inspect.look import Look, Unknown
from swarm.inspect.plan import Seen
from swarm.observe.log import redact_text
from swarm.source import Span
from swarm.store.journal import Record

_CALLS = 50
_SPANS = 50
_FINDINGS = 20
_TOOLS = 50
_LEGS = 50
_TEXT_CHARS = 4_000


def slice_(look: Look, id: str) -> dict[str, Any]:  # noqa: A002 - as it is called in addresses
    """A slice by its id, or by the name of its order.

    Raises:
        Unknown: the plan has none.
    """
    plan = look.fresh().plan
    seen = _seen(look, id)
    slice_ = seen.slice
    rows = rows_of(look, columns(look), slice_.id)
    order = slice_.order
    return slice_row(look, seen) | {
        "why": short(seen.why, _TEXT_CHARS),
        "branch": seen.branch,
        "branch_asked": short(plan.branches[seen.branch].asked, 1_000),
        "asked": short(slice_.question, _TEXT_CHARS),
        "parent": slice_.parent if slice_.parent in plan.slices else None,
        "round": slice_.round,
        "item": short(slice_.item),
        "size_tokens": slice_.tokens,
        "chars": slice_.chars,
        "spans": [_span(look, span) for span in slice_.spans[:_SPANS]],
        "spans_total": len(slice_.spans),
        "order": asdict(order) if order is not None else None,
        "machines": of_slice(look, seen),
        "halves": _halves(look, seen),
        "report": _report(look, slice_.id),
        "calls_list": [call_row(look, int(row)) for row in rows[::-1][:_CALLS]],
        "calls_total": len(rows),
        "handoffs": list(_handoffs(look, slice_.id)),
        "tools": _tools(look, slice_.id),
        "failures": list(_failures(look, slice_.id)),
    }


def _seen(look: Look, id_: str) -> Seen:
    slices = look.follower.plan.slices
    found = slices.get(id_)
    if found is None and id_:
        alike = [seen for key, seen in slices.items() if key.startswith(id_) or seen.name == id_]
        found = alike[0] if len(alike) == 1 else None
    if found is None:
        raise Unknown(f"the plan has no slice {id_[:80]!r}, or more than one: look for it in the plan")
    return found


def _span(look: Look, span: Span) -> dict[str, Any]:
    row = look.graph.row(span.source)
    corpus = look.follower.plan.corpus
    path = row.text if row is not None else ""
    if not path and corpus is not None:
        path = next((one.path for one in corpus.sources if one.id == span.source), "")
    where = placed(look, span, path) or path or None
    return {"source": span.source, "path": path, "start": span.start, "end": span.end, "where": where}


def _halves(look: Look, seen: Seen) -> list[str]:
    """Those that took its place, or that came to it because its reader had more to say."""
    if not any(look.follower.counts.get(kind) for kind in ("split", "closer")):
        return []
    plan = look.follower.plan
    return [id_ for id_ in plan.branches[seen.branch].slices if plan.slices[id_].slice.parent == seen.slice.id]


def _report(look: Look, id_: str) -> dict[str, Any] | None:
    followed = look.follower
    record = followed.opened.journal.record(followed.run, "report", id_)
    if record is None:
        return None
    body = record.body
    findings = body.get("findings", ())
    rejected = body.get("rejected", ())
    return {
        **clipped({"summary": body.get("summary", ""), "result": body.get("result", "")}),
        "at": record.at,
        "failure": redact_text(body["failure"]) if body.get("failure") else None,
        "findings": [{"id": one["id"], "claim": short(one["claim"])} for one in findings[:_FINDINGS]],
        "findings_total": len(findings),
        "rejected": [short(one) for one in rejected[:_FINDINGS]],
        "rejected_total": len(rejected),
        "open_questions": [short(one) for one in body.get("open_questions", ())[:_FINDINGS]],
        "decisions": [
            {"id": one["id"], "text": short(one["text"])} for one in body.get("decisions", ())[:_FINDINGS]
        ],
        "artifacts": [
            {"id": one["id"], "name": short(one["name"]), "media": one["media"]}
            for one in body.get("artifacts", ())[:_FINDINGS]
        ],
        "votes": body.get("votes", 0),
        "discarded": body.get("discarded", 0),
        "legs": body.get("legs", 1),
        "echoed": body.get("echoed", 0),
    }


def _failures(look: Look, id_: str) -> Iterator[dict[str, Any]]:
    """Why it failed, session by session."""
    followed = look.follower
    if not followed.counts.get("failure"):
        return
    for session in range(1, len(followed.sessions) + 1):
        record = followed.opened.journal.record(followed.run, "failure", f"{id_}:{session}")
        if record is not None:
            reason = short(redact_text(record.body.get("failure") or ""), _TEXT_CHARS)
            yield {"session": session, "at": record.at, "reason": reason}


def _handoffs(look: Look, id_: str) -> Iterator[dict[str, Any]]:
    """What each sub-agent left to the one after it."""
    if not look.follower.counts.get("handoff"):
        return
    for record in _named(look, "handoff", id_)[:_LEGS]:
        body = record.body
        text = short(body.get("result") or body.get("summary") or "", _TEXT_CHARS)
        yield {"leg": record.key.partition(":")[2], "at": record.at, "text": text}


def _tools(look: Look, id_: str) -> list[dict[str, Any]]:
    """What tools gave, as far as it is shown."""
    if not look.follower.counts.get("tool"):
        return []
    return [
        {
            "at": record.at, "ref": record.key.partition(":")[2], "name": short(record.body["tool"], 200),
            "failed": bool(record.body.get("failed")), **clipped({"text": _given(record)}, _TEXT_CHARS),
        }
        for record in _named(look, "tool", id_)[:_TOOLS]
    ]  # fmt: skip


def _given(record: Record) -> str:
    """What a tool gave; that it failed is told in an error's words."""
    text: str = record.body["text"]
    return redact_text(text) if record.body.get("failed") else text


def _named(look: Look, kind: str, id_: str) -> list[Record]:
    """The records of one kind whose keys begin with a slice: their keys are looked through, and no more of them is
    read than those."""
    followed = look.follower
    journal = followed.opened.journal
    keys = look.kept(f"{kind} keys", lambda: _by_slice(journal.keys(followed.run, kind)), followed.counts[kind])
    records = (journal.record(followed.run, kind, key) for key in keys.get(id_, ())[:_TOOLS])
    return [record for record in records if record is not None]


def _by_slice(keys: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(key.partition(":")[0], []).append(key)
    return found
