"""What a request wants: the words of its last turns that ask, apart from the material that they ask about.

A client that sends ten million tokens puts its question before them, after them, or in a part of its own. Which
paragraphs of a long text ask is told by the text alone, so that it is cut the same way in every request that it
comes in. This module knows characters, not tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from swarm.serve.request import Request, Turn
from swarm.terms import question_terms

PARAGRAPH = 1_500
"""Characters: what goes on for longer is material, whatever it says."""
ABOUT = 1_200
"""Characters of a question, as it is searched for and told to readers."""
_TELLING = 3  # words that tell something; with fewer ("and why?") what was asked before is needed too
_TOLD = 700
"""Characters of what asks without a question mark, or has one in its midst: what is longer is more likely a
story."""
_ENDS_ASKING = re.compile(r"\?[\s\"'”’)*_]*$")
_NAMED = re.compile(
    r"^\W*(?:question|task|instructions?|request|aufgabe|frage|pregunta|consigne)s?\W",
    re.IGNORECASE | re.MULTILINE,
)
_TELLS = re.compile(
    r"\W*(?:please|using|based on|given|from the|according to|read|answer|tell|list|find|summari[sz]e|explain"
    r"|compare|describe|extract|write|translate|give|show|name|identify|quote|check|review|rewrite|look|search)\b",
    re.IGNORECASE,
)
_UNKEPT = re.compile("[\0\ud800-\udfff]")
_BREAK = re.compile(r"\n[ \t\r]*\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A long text taken apart: what asks before and after, and where the material stands between (characters)."""

    before: str
    start: int
    end: int
    after: str

    @property
    def text(self) -> str:
        return "\n\n".join(part for part in (self.before.strip(), self.after.strip()) if part)


def ends_asking(text: str) -> bool:
    """Whether a text ends with a question."""
    return _ENDS_ASKING.search(text[-PARAGRAPH:]) is not None


def apart(text: str) -> Asked:
    """The paragraphs at both ends that ask something, apart from the rest. A pure function of the text."""
    start, end = 0, len(text)
    head = _first(text)
    if head and head < end and _asks(text[:head]):
        start = head
    tail = _last(text)
    if tail > start and _asks(text[tail:]):
        end = tail
    return Asked(before=text[:start], start=start, end=end, after=text[end:])


def _asks(paragraph: str) -> bool:
    said = paragraph.strip()
    if not said or len(said) > PARAGRAPH:
        return False
    if ends_asking(said) or _NAMED.search(said):
        return True
    return len(said) <= _TOLD and ("?" in said or _TELLS.match(said) is not None)


def _first(text: str) -> int:
    """Where the first paragraph ends, with the blank lines behind it; 0 where it does not within a bound."""
    lead = len(text[:PARAGRAPH]) - len(text[:PARAGRAPH].lstrip())
    found = _BREAK.search(text, lead, lead + PARAGRAPH + 200)
    if found is None:
        return 0
    end = found.end()
    while end < len(text) and text[end].isspace() and end < found.end() + 200:
        end += 1
    return end


def _last(text: str) -> int:
    """Where the last paragraph begins; the length of the text where it does not within a bound."""
    floor = max(0, len(text) - PARAGRAPH - 200)
    ending = text[floor:]
    breaks = [found.end() for found in _BREAK.finditer(ending.rstrip())]
    if breaks:
        return floor + breaks[-1]
    line = ending.rstrip().rfind("\n")
    return floor + line + 1 if line >= 0 else len(text)


def ends(text: str, head: int, tail: int, start: int = 0, end: int | None = None) -> tuple[str, str]:
    """The beginning and the end of a long text (or of what stands from `start` to `end` in it), in at most so many
    characters each, cut between paragraphs, lines or words where that is near."""
    end = len(text) if end is None else end
    first = min(end, start + head)
    return _cut_end(text[start:first]), _cut_begin(text[max(first, end - tail) : end])


def _cut_end(text: str) -> str:
    for mark in ("\n\n", "\n", ". ", " "):
        at = text.rfind(mark, len(text) // 2)
        if at > 0:
            return text[: at + len(mark)].rstrip()
    return text


def _cut_begin(text: str) -> str:
    for mark in ("\n\n", "\n", ". ", " "):
        at = text.find(mark, 0, len(text) // 2)
        if at >= 0:
            return text[at + len(mark) :].lstrip()
    return text


def plain(text: str) -> str:
    """The text with a replacement character for each that no store and no tokenizer takes: the character zero, and
    halves of surrogate pairs. It is as long as before."""
    return text if text.isascii() and "\0" not in text else _UNKEPT.sub("\ufffd", text)


def question(request: Request, large: int) -> str:
    """What the last turn of the user's wants, in at most `ABOUT` characters. Parts of more than `large` characters
    are material, but for what asks at their ends. What tells little by itself comes after what was asked
    before."""
    asking = (asks for turn in reversed(request.turns) if turn.role == "user" and (asks := _said(turn, large)))
    said = list(islice(asking, 2))
    if not said:
        return ""
    if len(said) > 1 and len(question_terms(said[0])) < _TELLING:
        return plain(_bounded(f"{said[1]}\n{said[0]}"))
    return plain(_bounded(said[0]))


def _said(turn: Turn, large: int) -> str:
    parts = [part.text for part in turn.parts if part.kind == "text" and part.text and not part.text.isspace()]
    small = [text for text in parts if len(text) <= large]
    asking = [_asking(text) for text in small] + [apart(text).text for text in parts if len(text) > large]
    said = "\n".join(text for text in asking if text)
    if said or not parts:
        return said.strip()
    # nothing asks: the ends of what there is may say what it is for
    return "\n".join(end for end in ends(parts[-1], ABOUT // 3, ABOUT // 3) if end).strip()


def _asking(text: str) -> str:
    """Of a text that is no material by its size: all of it, or what asks in it where it is long all the same."""
    return text if len(text) <= ABOUT else apart(text).text or _bounded(text)


def _bounded(text: str) -> str:
    """The beginning and the end, where it is too long."""
    if len(text) <= ABOUT:
        return text.strip()
    return "\n".join(ends(text, ABOUT // 2, ABOUT // 2 - 1)).strip()
