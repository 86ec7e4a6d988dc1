"""A stand-in for a language model's mind: it reads the prompt as text and answers what its schema asks for.

It understands nothing. It finds the lines that hold the words of the question and quotes them, so that what comes
of a run can be checked against the material, and it never claims what no line says, unless it is set to
(`ability`). It sees only what a real model would see: the text of the request and the schema. `foreman` has what
it answers where a goal is worked.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any

from swarm.terms import question_terms, terms
from swarm.testing import foreman
from swarm.testing.ability import PERFECT, Ability, Reader

_TASK = re.compile(r"<task>\n(.*?)\n</task>", re.DOTALL)
_SOURCE = re.compile(r"<source path=\"([^\"]*)\"[^>]*>\n(.*?)\n</source>", re.DOTALL)
_FINDING = re.compile(r"<finding label=\"([^\"]*)\"[^>]*>\n(.*?)\n</finding>", re.DOTALL)
_AT_MOST = re.compile(r"At most (\d+) findings")
_WORDS = re.compile(r"at most ([\d,]+) words")
_SENTENCE = re.compile(r"[^\n]*?(?:[.!?](?=\s)|$)", re.MULTILINE)
_LABEL = re.compile(r"^\[\d{1,4}\] ", re.MULTILINE)
_ITEM_CHARS = 2_000  # of what goes by a label, at the most
_SPOKEN = 3  # lines of a reply in plain words
_UNASKED = "No question was asked"
_OF_A_PIECE = 5
"""Findings that one piece of work reports, at the most."""


def answer(text: str, schema: dict[str, Any], ability: Ability = PERFECT, seed: str = "") -> dict[str, Any]:
    """A reply to the request `text` that fits `schema`, by somebody who reads that well. `seed` names the reading.

    Raises:
        LookupError: it is none of the replies that Swarm asks for.
    """
    asked = frozenset(schema.get("properties", {}))
    question = _question(text)
    reader = Reader(text, ability, seed)
    if "queries" in asked:
        return {"queries": [question] if question else [], "reading": "Lines that hold the words of the question."}
    if "orders" in asked:
        return foreman.plan(text)
    if "result" in asked:
        return foreman.work(text, _findings(reader, foreman.question(text), _OF_A_PIECE))
    if "missing" in asked:
        return foreman.assess(text)
    if "summary" in asked:
        return _read(reader, question)
    if "verdict" in asked:
        return _judge(text)
    if "answerable" in asked:
        return _answer(text, question)
    if asked == {"pairs"}:
        return {"pairs": list(_pairs(text))}
    if asked == {"statements"}:
        return {"statements": list(_statements(text, question))}
    raise LookupError(f"nothing to say to a schema of {', '.join(sorted(asked)) or 'nothing'}")


def spoken(texts: Sequence[str]) -> str:
    """A reply in plain words to what was said: the lines that hold most words of the last question, each with the
    label that it has, `[3]`, if it has one."""
    lines = [line.strip() for text in reversed(texts) for line in reversed(text.strip().splitlines())]
    asked = next((line for line in lines if line.endswith("?")), lines[0] if lines else "")
    wanted = set(question_terms(asked))
    found: list[tuple[int, int, str]] = []
    for number, line in enumerate(line for text in texts for _, line in _lines(text)):
        held = len(wanted & set(terms(line)))
        if line != asked and not line.endswith("?") and held * 2 >= max(1, len(wanted)):
            found.append((-held, number, line))
    if not found:
        return f"You said: {asked}" if asked else "You said nothing."
    best = [line for held, _, line in sorted(found)[:_SPOKEN] if held == min(found)[0]]
    return " ".join(dict.fromkeys(_labelled(line, texts) for line in best))


def _labelled(line: str, texts: Sequence[str]) -> str:
    """A line with its label behind it: the last one before it at the beginning of a line."""
    for text in texts:
        at = text.find(line)
        while at >= 0:
            labels = _LABEL.findall(text, max(0, at - _ITEM_CHARS), at + len(line))
            if labels:
                return f"{_LABEL.sub('', line)} {labels[-1].strip()}"
            at = text.find(line, at + 1)
    return line


def _question(text: str) -> str:
    task = _TASK.search(text)
    return task[1] if task is not None and not task[1].startswith(_UNASKED) else ""


def _read(reader: Reader, question: str) -> dict[str, Any]:
    limit = int(found[1]) if (found := _AT_MOST.search(reader.text)) is not None else 10
    paths = dict.fromkeys(html.unescape(path) for path, _ in _SOURCE.findall(reader.text))
    return {
        "findings": _findings(reader, question, limit),
        "summary": f"A part of {', '.join(paths) or 'nothing'}.",
        "open_questions": [],
    }


def _findings(reader: Reader, question: str, limit: int) -> list[dict[str, Any]]:
    """The lines of the material that hold the words of the question, the most of them first."""
    wanted = set(question_terms(question))
    found: list[tuple[float, int, str]] = []
    for source in _SOURCE.finditer(reader.text):
        for at, line in _lines(source[2]):
            held = wanted & set(terms(line)) if wanted else wanted
            bears = len(held) * 2 >= len(wanted) if wanted else len(line) > 40
            if bears and reader.notices(line, at := source.start(2) + at):
                found.append((-len(held) / len(wanted) if wanted else -0.5, at, line))
    most = limit if reader.ability.most_findings is None else min(limit, reader.ability.most_findings)
    return [_finding(reader.quoted(line, at), -share) for share, at, line in sorted(found)[:most]]


def _finding(line: str, relevance: float) -> dict[str, Any]:
    return {
        "claim": line, "quote": line, "relevance": round(relevance, 3),
        "subject": None, "attribute": None, "value": None, "unit": None, "time": None,
    }  # fmt: skip


def _lines(material: str) -> Iterator[tuple[int, str]]:
    """The sentences of a text, each with the place where it begins."""
    for match in _SENTENCE.finditer(material):
        if len(line := match[0].strip()) > 3:
            yield match.start(), line


def _pairs(text: str) -> Iterator[dict[str, Any]]:
    """Two claims contradict when they are the same but for a "not"."""
    claims = [body.splitlines()[0] for _, body in _FINDING.findall(text)]
    for number, (one, other) in enumerate(zip(claims[::2], claims[1::2], strict=False), start=1):
        words = [[word for word in terms(claim) if word != "not"] for claim in (one, other)]
        differ = words[0] == words[1] and terms(one) != terms(other)
        verdict = "contradicts" if differ else "compatible"
        yield {"pair": number, "verdict": verdict, "later": None, "reason": "By the words alone."}


def _judge(text: str) -> dict[str, Any]:
    found = _FINDING.search(text) is not None
    return {
        "verdict": "answer" if found else "give_up",
        "follow_ups": [],
        "reason": "By whether anything was found.",
    }


def _answer(text: str, question: str) -> dict[str, Any]:
    statements = list(_statements(text, question))[:5]
    return {"answerable": bool(statements), "short": None, "statements": statements}


def _statements(text: str, question: str) -> Iterator[dict[str, Any]]:
    """One sentence for each finding that bears on the question, the claim itself, as far as the words allow."""
    left = int(found[1].replace(",", "")) if (found := _WORDS.search(text)) is not None else 10**6
    wanted = set(question_terms(question))
    for label, body in _FINDING.findall(text):
        claim = body.splitlines()[0]
        left -= len(claim.split())
        if left < 0:
            return
        if not wanted or wanted & set(terms(claim)):
            yield {"text": claim, "findings": [html.unescape(label)]}
