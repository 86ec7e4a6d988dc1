"""Names by content: equal things get equal ids, in every process and in every order of arrival."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
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
    covers: Iterable[str] = (),
) -> str:
    """The id of a claim and what qualifies it; evidence is not a part of it, so that evidence can be joined."""
    return digest("finding", normal_form(claim), subject, attribute, value, time, sorted(covers))


def slice_id(question: str, spans: Iterable[Span], round_: int, item: str) -> str:
    """The id of a slice: two that ask the same of the same text are one."""
    return digest("slice", question, [list(span) for span in spans], round_, item)
