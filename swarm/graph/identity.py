"""Names by content: equal things get equal ids, in every process and in every order of arrival."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from swarm.source import Span

_PUNCTUATION = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-"})


def digest(kind: str, *parts: object) -> str:
    """An id: a letter for the kind and 128 bits of hash over the parts, which must be JSON-able."""
    body = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
    return kind[0] + blake2b(body, digest_size=16, person=kind.encode()[:16]).hexdigest()


def normal_form(claim: str) -> str:
    """A claim without what does not change its meaning: case stays, spacing and typography go."""
    return " ".join(unicodedata.normalize("NFKC", claim).translate(_PUNCTUATION).split()).rstrip(".")


def finding_id(
    claim: str,
    subject: str | None = None,
    attribute: str | None = None,
    value: str | None = None,
    time: str | None = None,
    unit: str | None = None,
    covers: Iterable[str] = (),
) -> str:
    """The id of a claim and what qualifies it; evidence is not a part of it, so that evidence can be joined."""
    more = () if unit is None else (unit,)  # without one, ids are those of stores written before there were units
    return digest("finding", normal_form(claim), subject, attribute, value, time, sorted(covers), *more)


@lru_cache(maxsize=65_536)
def name_of(name: str) -> str:
    """The name of an entity in its normal form: two spellings with the same form are one entity."""
    plain = normal_form(name).casefold().removesuffix("'s").strip(" \"'")
    return plain.removeprefix("the ")


@lru_cache(maxsize=65_536)
def entity_id(name: str) -> str:
    return digest("entity", name_of(name))


@lru_cache(maxsize=4_096)
def question_id(text: str) -> str:
    return digest("question", normal_form(text))


def decision_id(text: str, about: Iterable[str] = ()) -> str:
    return digest("decision", normal_form(text), sorted(about))


def summary_id(level: int, covers: Iterable[str], texts: Iterable[str]) -> str:
    """`m`, since `s` is for sources."""
    return "m" + digest("summary", level, sorted(covers), list(texts))[1:]


def artifact_id(name: str, media: str, ref: str) -> str:
    return digest("artifact", name, media, ref)


def slice_id(question: str, spans: Iterable[Span], round_: int, item: str) -> str:
    """The id of a slice: two that ask the same of the same text are one."""
    return digest("slice", question, [list(span) for span in spans], round_, item)
