"""Proper names and quoted titles in a text, by capital letters alone. It knows no list of names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from swarm.terms import STOP

_TOKEN = re.compile(r"[^\W_]+(?:['’.\-&/][^\W_]+)*")
_CAPITAL = re.compile(r"(?<![A-Za-z0-9])(?<![A-Za-z0-9]['.\-&/])[A-Z]")
"""Where a word of a plain text begins with a capital, as `_TOKEN` tells words."""
_WORD_SIGN = re.compile(r"[^\W_]")
_QUOTED = re.compile(r"[\"“«„]([^\"”»“„]{2,80})[\"”»]")
_MARKED = re.compile(r"[\"“«„\d]")
_JOINERS = frozenset(
    "of the de von van bin ibn al la le les du der den di da del dos el y e in for on to at a".split()
)
_CALENDAR = frozenset(
    """
    january february march april may june july august september october november december jan feb mar apr jun jul
    aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday
    """.split()
)
_DEMONYM = re.compile(r"(?:ish|ese|ian|ean|[^m]an|ch|swiss|greek|thai|iraqi|israeli|pakistani)$", re.IGNORECASE)
_TITLE_WORDS = 8
_SENTENCE_END = (".", "?", "!", ":", "…")


@dataclass(frozen=True, slots=True)
class Name:
    """A name and how sure one can be of it, from 0 to 1: one capital letter may mean little."""

    text: str
    sure: float


def names(text: str) -> list[Name]:
    """The names in a text, in order, without repeats."""
    found: dict[str, Name] = {}
    rest = text[1:]
    if rest == rest.lower() and not _MARKED.search(text):  # a capital at the most at the very beginning
        first = _TOKEN.match(text)
        name = _name([first.group()], True) if first and text[0].isupper() else None
        return [name] if name else []
    for match in _QUOTED.finditer(text):
        quoted = match.group(1).strip(" ,.;")
        if _is_title(quoted):
            found.setdefault(quoted, Name(quoted, 1.0))
    for words, initial in _runs(text):
        name = _name(words, initial)
        if name:
            found.setdefault(name.text, name)
    return list(found.values())


def _is_title(quoted: str) -> bool:
    """Whether quoted words are a title, and not speech: most of them, small ones aside, have a capital."""
    words = [word for word in quoted.split() if word.lower() not in _JOINERS and word.lower() not in STOP]
    capitals = sum(word[0].isupper() or word[0].isdigit() for word in words)
    return len(words) <= _TITLE_WORDS and 2 * capitals > len(words) and not quoted[0].islower()


def _runs(text: str) -> Iterator[tuple[list[str], bool]]:
    """Runs of capitalised words with the small words between them, and whether each begins a sentence."""
    match = _capital(text, 0)
    while match is not None:
        run, pending = [match.group()], list[str]()
        initial, end = _begins_sentence(text, match.start()), match.end()
        match = None
        for after in _TOKEN.finditer(text, end):
            word, gap = after.group(), text[end : after.start()].strip()
            if gap and not (gap == "." and len(run[-1]) <= 2):
                match = after
                break
            end = after.end()
            if word[0].isupper() or word[0].isdigit():
                run += [*pending, word]
                pending = []
            elif word.lower() in _JOINERS and len(pending) < 2:
                pending.append(word)
            else:
                match = after
                break
        yield run, initial
        if match is not None and not match.group()[0].isupper():
            match = _capital(text, match.end())


def _capital(text: str, at: int) -> re.Match[str] | None:
    """The first word from `at` on that begins with a capital. Most words do not: where the text is plain, they are
    not looked at one by one."""
    if text.isascii():
        found = _CAPITAL.search(text, at)
        return None if found is None else _TOKEN.match(text, found.start())
    return next((match for match in _TOKEN.finditer(text, at) if match.group()[0].isupper()), None)


def _begins_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip()
    return before.endswith(_SENTENCE_END) or not _WORD_SIGN.search(before)


def _name(words: list[str], initial: bool) -> Name | None:
    while len(words) > 1 and _leads_nowhere(words[0], initial):
        words, initial = words[1:], False
    while len(words) > 1 and (words[-1].isdigit() or words[-1].lower() in _CALENDAR or words[-1] in _JOINERS):
        words = words[:-1]
    text = " ".join(words).removesuffix("'s").removesuffix("’s")
    plain = text.lower()
    if plain in STOP or plain in _CALENDAR or len(text) < 4 or text[0].isdigit():
        return None
    if len(words) > 1:
        return Name(text, 1.0)
    if initial and plain in _OPENERS:
        return None
    if _DEMONYM.search(text) and not initial:
        return Name(text, 0.3)
    return Name(text, 0.4 if initial else 0.7)


def _leads_nowhere(word: str, initial: bool) -> bool:
    """Whether a run of capitals that begins with this word is a name without it: a date, an article, an opener."""
    plain = word.lower()
    if plain in _CALENDAR or word.isdigit() or plain in STOP or (word in _JOINERS):
        return True
    return initial and plain in _OPENERS


_OPENERS = frozenset(
    """
    although according additionally afterwards besides born called despite early due even every following founded
    given however instead known later located many meanwhile moreover note originally other part played released
    set since several similarly some started subsequently thus today together two three unlike upon using
    written yet first second one eventually finally recently currently formerly produced directed among along
    around near within without across set are is was were do does did can which what who when where why how whose
    """.split()
)
