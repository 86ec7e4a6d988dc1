"""A stand-in for a language model's mind: it reads the prompt as text and answers what its schema asks for.

It understands nothing. It finds the lines that hold the words of the question and quotes them, so that what comes
of a run can be checked against the material, and it never claims what no line says. It sees only what a real
model would see: the text of the request and the schema.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from swarm.terms import question_terms, terms

_TASK = re.compile(r"<task>\n(.*?)\n</task>", re.DOTALL)
_SOURCE = re.compile(r"<source path=\"([^\"]*)\"[^>]*>\n(.*?)\n</source>", re.DOTALL)
_FINDING = re.compile(r"<finding label=\"([^\"]*)\"[^>]*>\n(.*?)\n</finding>", re.DOTALL)
_AT_MOST = re.compile(r"At most (\d+) findings")
_WORDS = re.compile(r"at most ([\d,]+) words")
_SENTENCE = re.compile(r"[^\n]*?(?:[.!?](?=\s)|$)", re.MULTILINE)
_UNASKED = "No question was asked"


def answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A reply to the request `text` that fits `schema`.

    Raises:
        LookupError: it is none of the replies that Swarm asks for.
    """
    asked = frozenset(schema.get("properties", {}))
    question = _question(text)
    if "queries" in asked:
        return {"queries": [question] if question else [], "reading": "Lines that hold the words of the question."}
    if "summary" in asked:
        return _read(text, question)
    if "verdict" in asked:
        return _judge(text)
    if "answerable" in asked:
        return _answer(text, question)
    if asked == {"pairs"}:
        return {"pairs": list(_pairs(text))}
    if asked == {"statements"}:
        return {"statements": list(_statements(text, question))}
    raise LookupError(f"nothing to say to a schema of {', '.join(sorted(asked)) or 'nothing'}")


def _question(text: str) -> str:
    task = _TASK.search(text)
    return task[1] if task is not None and not task[1].startswith(_UNASKED) else ""


def _read(text: str, question: str) -> dict[str, Any]:
    wanted = set(question_terms(question))
    limit = int(found[1]) if (found := _AT_MOST.search(text)) is not None else 10
    paths: list[str] = []
    findings: list[tuple[float, int, str]] = []
    for path, material in _SOURCE.findall(text):
        paths.append(html.unescape(path))
        for line in _lines(material):
            held = wanted & set(terms(line))
            if (wanted and len(held) * 2 >= len(wanted)) or (not wanted and len(line) > 40):
                share = len(held) / len(wanted) if wanted else 0.5
                findings.append((-share, len(findings), line))
    best = sorted(findings)[:limit]
    return {
        "findings": [
            {
                "claim": line, "quote": line, "relevance": round(-share, 3),
                "subject": None, "attribute": None, "value": None, "unit": None, "time": None,
            }
            for share, _, line in best
        ],
        "summary": f"A part of {', '.join(dict.fromkeys(paths)) or 'nothing'}.",
        "open_questions": [],
    }  # fmt: skip


def _lines(material: str) -> Iterator[str]:
    for match in _SENTENCE.finditer(material):
        if len(line := match[0].strip()) > 3:
            yield line


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
