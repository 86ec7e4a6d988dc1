"""A program that has a report written from findings, and then cited part by part.

Whoever writes sees the findings and nothing else; whoever cites sees the findings and sentences, in a window that
took no part in the writing. What they say is held against the findings in `cited`. The findings are handed over as
a result, which is material, and not in an order. This module knows no run and no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from swarm.orders import Order
from swarm.program import Done, Piece, Program, Role
from swarm.reports.cited import CITED_SCHEMA, Known, blocks_of, cited_text, listed, part_of, wrong_with
from swarm.task import Answer, Report

WRITER = """\
Write the report in Markdown, about {words} words, for the person who asked, from the findings alone. Begin with
what answers the question. Headings begin with ##. One sentence says one thing, and some finding bears out all
of it, every name, figure, date and condition; where findings disagree, say so. No introduction, nothing about
the report itself, and no citations: these are added later."""

CITER = """\
You cite a report that someone else wrote. For each numbered sentence name the findings whose quotes bear out
all of it: each name, figure, date and condition. Go by the quotes and not by the claims. Where the findings do
not bear it out, or only in part, its list is empty; it is then left out. Every sentence of the part is in your
list once."""

DRAFT, KNOWN = "draft", "known"
_ANY = 1_000_000  # o200k tokens of what a program hands over: no bound of its own


def report_on(question: str, known: Sequence[Known], found: Answer, words: int) -> Program:
    """Write, then cite part by part, each in a fresh window that has no stake in the draft."""
    labels = frozenset(one.label for one in known)

    async def tell(_piece: Piece) -> Done:
        return Done(result=listed(known))

    async def cut(piece: Piece) -> Done:
        return Done(result=part_of(blocks_of(piece.results[DRAFT]), int(piece.order.name.removeprefix("part "))))

    def first() -> Iterable[Order]:
        yield Order(name=KNOWN, objective="The findings.", role=KNOWN)
        yield Order(name=DRAFT, objective=f"Write the report that answers: {question}", needs=(KNOWN,), role=DRAFT)

    def follow(order: Order, report: Report) -> Iterable[Order]:
        number = 0
        while order.name == DRAFT and part_of(blocks_of(report.result), number):
            part = f"part {number}"
            yield Order(name=part, objective="Its sentences.", needs=(DRAFT,), role="part")
            yield Order(name=f"cite {part}", objective="Cite this part.", needs=(KNOWN, part), role="cite")
            number += 1

    def text(results: Any) -> str:
        blocks, rests_on, number = blocks_of(results[DRAFT]), dict[int, list[str]](), 0
        while (name := f"cite part {number}") in results:
            rests_on |= {one["sentence"]: one["findings"] for one in json.loads(results[name])["cited"]}
            number += 1
        return cited_text(question, blocks, rests_on, known, found)

    roles = (
        Role(name=KNOWN, code=tell, report_tokens=_ANY),
        Role(name="part", code=cut, report_tokens=_ANY),
        Role(name=DRAFT, instructions=WRITER.format(words=words), view_tokens=0, report_tokens=4 * words + 1_000),
        Role(
            name="cite", instructions=CITER, view_tokens=0, schema=CITED_SCHEMA,
            check=lambda value, _order: wrong_with(value, labels),
        ),
    )  # fmt: skip
    return Program(orders=first, follow=follow, roles=roles, answer=text)
