"""The report of a run: one HTML file that opens without a network, and shows what `swarm view` shows.

    with open_run("last") as opened, new_file(Path("report.html")) as out:
        write_report(opened, out)

The data lies in it in blocks, which the script of the page unpacks as they are asked for. It is a matter of room
what is in it: what the answer rests on and what is in dispute always, then findings by relevance, the text of the
sources that are cited, and what else the page shows; what was left out is told. The same run makes the same file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from swarm.inspect.opened import Opened
from swarm.inspect.page.joined import document, to_json
from swarm.inspect.report import findings, others, work
from swarm.inspect.report.blocks import Blocks
from swarm.inspect.report.findings import Packed
from swarm.inspect.report.paper import paper, title_of
from swarm.inspect.report.texts import Kept, Texts

MOST_MB = 25.0
_MB = 1_000_000
_FIXED = 700_000  # bytes of the page itself and of what is told once
_WHOLE, _WORK, _REPLIES = 0.35, 0.12, 0.1
"""Shares of the room: for whole texts before the findings, for what was done, and what replies leave of it."""
_SOURCE_BYTES = 150  # about, of a source but for its text
_LEAST = 1_500_000  # bytes of room, whatever is asked for: what must be there has to be somewhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """`left_out` are lines that say what of the run is not in the file."""

    bytes: int
    findings: int
    left_out: tuple[str, ...]


def write_report(opened: Opened, out: BinaryIO, *, title: str = "", most_mb: float = MOST_MB) -> Written:
    """Write the report of a run to a file that is open for bytes, about `most_mb` megabytes of it. Of a run that
    goes on, it is as of the last that was recorded.

    Raises:
        StoreError: the store cannot be read any more.
    """
    opened = replace(opened, machines=None)  # who is alive is told where somebody looks now, and not in a file
    look = Look(opened, clock=lambda: look.follower.last)
    overview = ENDPOINTS["overview"](look)
    overview |= {"live": False, "phase": "", "now": overview["last"], "rate": dict.fromkeys(overview["rate"], 0)}
    title = title.strip() or title_of(overview)
    blocks = Blocks(max(_LEAST, round(most_mb * _MB) - _FIXED))
    room = blocks.left
    texts = Texts(look, blocks)
    relations = [(one.kind, one.one.num, one.other.num) for one in others.disputes(look)]
    slices = work.pack_slices(look, blocks)
    work.pack_plan(look, blocks)
    keep = round(room * _WORK) + others.needs(look, len(relations)) + _SOURCE_BYTES * len(texts.sources)
    ranked = _ranked(look, texts, overview)
    for kept in ranked:
        texts.keep_whole(kept, round(room * (1 - _WHOLE)))
    must = _must(look, overview, relations)
    packed = findings.pack(look, blocks, texts, must, slices, keep)
    counts = others.pack_nodes(look, blocks, packed)
    lost = others.pack_disputes(blocks, packed, relations)
    others.pack_tree(look, blocks, packed)
    left = _Left(packed, texts)
    left.relations = lost
    left.calls = work.pack_calls(look, blocks, round(room * _WORK / 2))[0]
    lanes = work.pack_lanes(look, blocks, 0)
    left.details = work.pack_details(look, blocks, 0)
    left.replies = work.pack_replies(look, blocks, round(room * _REPLIES))
    for kept in ranked:
        _ = texts.keep_whole(kept, 0) or texts.keep_stretches(kept, packed.quoted.get(kept.number, ()), 0)
    for kept in texts.sources:
        texts.keep_whole(kept, 0)
    blocks.end("texts")
    work.pack_sources(look, blocks, texts, packed)
    for name in ("cost", "windows", "timeline"):
        blocks.put(name, [ENDPOINTS[name](look)])
    told = overview | {"file": {"left_out": left.lines(ranked)}}
    head = _head(look, told, title, blocks, packed, lanes, counts)
    size = 0
    for piece in document(_data(head, blocks), paper(look, told, title, left.lines(ranked))):
        data = piece.encode("utf-8", "replace")
        out.write(data)
        size += len(data)
    return Written(bytes=size, findings=len(packed.place), left_out=tuple(left.lines(ranked)))


def _head(
    look: Look,
    overview: Mapping[str, Any],
    title: str,
    blocks: Blocks,
    packed: Packed,
    lanes: dict[str, Any] | None,
    counts: dict[str, int],
) -> dict[str, Any]:
    """What the script of the page begins with: all that is told once, and where the blocks are."""
    calls = look.follower.calls
    return {
        "title": title,
        "overview": overview,
        "coverage": ENDPOINTS["coverage"](look, limit=0),
        "plan": ENDPOINTS["plan"](look, limit=0),
        "lanes": lanes,
        "models": calls.models.texts,
        "kinds": calls.kinds.texts,
        "counts": counts,
        "leaders": packed.leaders,
        "findings": len(packed.place),
        "lists": blocks.lists,
    }


def _data(head: dict[str, Any], blocks: Blocks) -> Iterator[str]:
    """The head, and behind it the blocks, each in an element of its own."""
    yield to_json(head)
    for number, text in enumerate(blocks.texts()):
        yield f'</script>\n<script type="application/json" class="block" id="block-{number}">'
        yield text


def _ranked(look: Look, texts: Texts, overview: Mapping[str, Any]) -> list[Kept]:
    """The sources that are cited: those that the answer rests on, then those on which most findings do."""
    sql = (
        "SELECT source, count(*) FROM evidence WHERE finding BETWEEN ? AND ? GROUP BY source "
        "ORDER BY count(*) DESC, source"
    )
    nums = [num for num, _ in look.graph.database.read(sql, look.graph.range)]
    texts.know(nums)
    answer = overview["answer"] or {}
    first = [texts.by_id(one["source_id"]) for one in answer.get("citations", ())]
    ranked = [*(kept for kept in first if kept is not None), *(texts.of(num) for num in nums)]
    return list({kept.number: kept for kept in ranked}.values())


def _must(look: Look, overview: Mapping[str, Any], relations: list[tuple[str, int, int]]) -> set[int]:
    """The findings that are never left out, by their numbers: what is in dispute, and what the answer rests on."""
    must = {num for kind, *pair in relations if kind == "contradicts" for num in pair}
    answer = overview["answer"] or {}
    ids = [one["finding"] for one in answer.get("citations", ()) if one["finding"]]
    ids += [id_ for one in answer.get("contradictions", ()) for id_ in one["findings"]]
    return must | {row.num for row in look.graph.known(ids)}


class _Left:
    """What is left out of a file, in words."""

    def __init__(self, packed: Packed, texts: Texts) -> None:
        self._packed, self._texts = packed, texts
        self.relations = self.calls = self.details = self.replies = 0

    def lines(self, ranked: list[Kept]) -> list[str]:
        findings_ = self._packed.total - len(self._packed.place)
        whole = sum(kept.whole for kept in ranked)
        parts = sum(bool(kept.pieces) and not kept.whole for kept in ranked)
        none = len(ranked) - whole - parts
        cited = {kept.number for kept in ranked}
        uncited = sum(not kept.whole and kept.number not in cited for kept in self._texts.sources)
        said = [
            (findings_, "{:,} findings of little relevance: there was no room for them"),
            (self.relations, "{:,} pairs of findings of which one came after the other, and one is not here"),
            (parts, "the text of {:,} sources but for what stands around quotes"),
            (none, "the text of {:,} sources that are cited"),
            (uncited, "the text of {:,} sources that nothing is cited from"),
            (self.calls, "{:,} calls, the oldest"),
            (self.details, "what {:,} slices reported, but for their findings"),
            (self.replies, "the replies to {:,} calls"),
        ]
        return [line.format(number) for number, line in said if number > 0]
