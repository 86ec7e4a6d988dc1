"""A text held against findings, sentence by sentence: what none of them bears out is left out, the rest is cited.

Whoever says which findings bear a sentence out is asked elsewhere. Here a program sees to what can be seen without
an opinion: that the findings exist, and that every figure of a sentence stands in what it rests on. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swarm.models.extractive.sentences import split
from swarm.task import Answer

PART = 12
"""Sentences that are held against the findings at once."""
CITED_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["cited"],
    "properties": {
        "cited": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["sentence", "findings"],
                "properties": {
                    "sentence": {"type": "integer", "description": "Its number"},
                    "findings": {"type": "array", "items": {"type": "string"}, "description": "Such as F3"},
                },
            },
        }
    },
}
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_HEAD = re.compile(r"(#{1,6}|[-*+]|\d{1,3}[.)])[ \t]+")
_MARKS = re.compile(r"\s*\[\^?[\w, ]{1,12}\](?=[\s.,;]|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A finding under a short label, with its quotes and where each stands."""

    label: str
    claim: str
    quotes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A heading, an item of a list or a paragraph. Sentences are numbered from `first` on; a heading has none, and
    no text where it is the title, which the report has already."""

    mark: str
    text: str = ""
    sentences: tuple[str, ...] = ()
    first: int = 0


def listed(known: Iterable[Known]) -> str:
    """The findings, as a model is shown them."""
    return "\n".join(
        "\n".join([f"{one.label}: {one.claim}", *(f'   "{quote}" ({where})' for quote, where in one.quotes)])
        for one in known
    )


def blocks_of(text: str) -> list[Block]:
    """A draft in Markdown, taken apart. Marks that look like citations are no one's word for anything."""
    found: list[Block] = []
    number = 1
    for paragraph in _paragraphs(text):
        head = _HEAD.match(paragraph)
        mark = head[1] if head else ""
        words = " ".join(_MARKS.sub("", paragraph[head.end() if head else 0 :]).split())
        if mark.startswith("#"):
            found.append(Block(mark="##", text=words if mark != "#" else ""))
            continue
        sentences = tuple(words[start:end] for start, end in split(words))
        if sentences:
            found.append(Block(mark="-" if mark else "", sentences=sentences, first=number))
            number += len(sentences)
    return found


def _paragraphs(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        stripped = line.strip()
        if lines and (not stripped or _HEAD.match(stripped) or lines[-1].startswith("#")):
            yield "\n".join(lines)
            lines = []
        if stripped:
            lines.append(stripped)


def numbered(blocks: Iterable[Block]) -> dict[int, str]:
    """The sentences by their numbers."""
    return {one.first + at: text for one in blocks for at, text in enumerate(one.sentences)}


def part_of(blocks: Iterable[Block], number: int) -> str:
    """The `number`th stretch of sentences, from 0, a line each with its number; empty where no more are left."""
    sentences = numbered(blocks)
    first = number * PART + 1
    return "\n".join(f"{n}. {sentences[n]}" for n in range(first, first + PART) if n in sentences)


def wrong_with(value: Any, labels: frozenset[str]) -> str | None:
    """What is wrong with a reply that says what bears which sentence out; None where it may be right."""
    named = {label for one in value["cited"] for label in one["findings"]}
    if unknown := sorted(named - labels):
        return f"there is no finding {unknown[0][:40]!r}: use the labels that stand before the findings"
    return None


@dataclass
class Report:
    """A report on its way: what it says so far, and its footnotes in the order of their first use."""

    lines: list[str] = field(default_factory=list)
    notes: dict[tuple[str, str], int] = field(default_factory=dict)

    def cite(self, quotes: Iterable[tuple[str, str]]) -> str:
        numbers = {self.notes.setdefault(one, len(self.notes) + 1) for one in quotes}
        return "".join(f"[^{number}]" for number in sorted(numbers))

    def text(self) -> str:
        notes = [f'[^{number}]: {inert(where)} "{inert(quote)}"' for (quote, where), number in self.notes.items()]
        return "\n\n".join([*self.lines, "\n".join(notes)] if notes else self.lines) + "\n"


def cited_text(
    question: str,
    blocks: Sequence[Block],
    rests_on: Mapping[int, Sequence[str]],
    known: Sequence[Known],
    answer: Answer | None = None,
) -> str:
    """The report in Markdown: each sentence that findings bear out with its footnotes, and how many were left out.
    A heading under which nothing is left goes too."""
    by_label = {one.label: one for one in known}
    report = Report([f"# {inert(question)}"])
    if answer is not None:
        _short(report, answer)
    left_out, heading = 0, ""
    for block in blocks:
        if not block.sentences:
            borne = block.text and not figures_without(block.text, question, known)
            heading = f"## {inert(block.text)}" if borne else ""
            continue
        kept = []
        for number, sentence in enumerate(block.sentences, start=block.first):
            found = [by_label[label] for label in rests_on.get(number, ()) if label in by_label]
            if found and not figures_without(sentence, question, found):
                quotes = [quote for one in found for quote in one.quotes]
                kept.append(inert(sentence) + report.cite(quotes))
            else:
                left_out += 1
        if kept:
            report.lines += [heading] if heading else []
            heading = ""
            report.lines.append(f"{block.mark} {' '.join(kept)}".strip())
    if answer is not None:
        _disagreements(report, answer)
    if left_out:
        many = "1 sentence" if left_out == 1 else f"{left_out} sentences"
        report.lines.append(f"*{many} of the draft left out: no finding bears them out.*")
    return report.text()


def inert(text: str) -> str:
    """Text on one line that is nothing but text where Markdown is shown: a source may hold a picture or a page
    whose address tells whoever wrote it what was read."""
    line = " ".join(text.split())
    line = line.replace("<", "&lt;").replace("![", "!\\[").replace("](", "]\\(").replace("[^", "\\[^")
    return f"\\{line}" if line.startswith(("#", ">", "`" * 3, "~~~")) else line


def figures_without(sentence: str, question: str, found: Iterable[Known]) -> list[str]:
    """The figures of a sentence that stand neither in what it rests on nor in the question."""
    texts = [question, *(text for one in found for text in (one.claim, *(quote for quote, _ in one.quotes)))]
    there = {figure for text in texts for figure in _figures(text)}
    return [figure for figure in _figures(sentence) if figure not in there]


def _figures(text: str) -> list[str]:
    """The figures of a text, without what groups their digits."""
    return [re.sub(r",(?=\d{3}(?:\D|$))", "", one) for one in _FIGURE.findall(text)]


def answer_text(question: str, answer: Answer) -> str:
    """A report of an answer that is cited already."""
    report = Report([f"# {inert(question)}"])
    _short(report, answer)
    if not answer.statements:
        report.lines.append(inert(answer.text))
    _disagreements(report, answer)
    if answer.stopped:
        report.lines.append(f"*Not complete: {answer.stopped}*")
    return report.text()


def _short(report: Report, answer: Answer) -> None:
    said = [
        inert(one.text) + report.cite(_quotes(answer, one.citations)) for one in answer.statements if one.citations
    ]
    whole = all(one.text.rstrip().endswith((".", "!", "?")) for one in answer.statements)
    report.lines += [" ".join(said) if whole else "\n".join(f"- {one}" for one in said)] if said else []


def _disagreements(report: Report, answer: Answer) -> None:
    if not answer.contradictions:
        return
    report.lines.append("## What the sources disagree on")
    for one in answer.contradictions:
        sides = zip(one.claims, one.citations, strict=True)
        said = (f'"{inert(claim)}"{report.cite(_quotes(answer, cited))}' for claim, cited in sides)
        report.lines.append("- " + " against ".join(said))


def _quotes(answer: Answer, numbers: Iterable[int]) -> list[tuple[str, str]]:
    return [(answer.citations[number].quote, str(answer.citations[number])) for number in numbers]
