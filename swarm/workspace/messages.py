"""The message of a commit that lands: a subject, a body, and trailers that nobody else can write. Pure text."""

from __future__ import annotations

import re
from collections.abc import Mapping

SUBJECT_CHARS = 120
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def composed(message: str, trailers: Mapping[str, str], slice_: str) -> str:
    """The whole message. Git takes the last paragraph for trailers, and that is always the one of `trailers`:
    lines of a summary that look like some are none.

    Raises: ValueError: the name of a trailer is none."""
    lines = _CONTROL.sub(" ", message.replace("\r\n", "\n")).strip().split("\n")
    subject, body = " ".join(lines[0].split()), "\n".join(line.rstrip() for line in lines[1:]).strip()
    if len(subject) > SUBJECT_CHARS:
        subject, body = subject[: SUBJECT_CHARS - 1] + "…", f"{subject}\n\n{body}".strip()
    for key in trailers:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} cannot be the name of a trailer")
    last = "\n".join(f"{key}: {' '.join(value.split())}" for key, value in trailers.items())
    last = last or f"Swarm-Slice: {slice_}"
    return "\n\n".join(part for part in (subject or f"Work of slice {slice_}", body, last) if part) + "\n"


__all__ = ["SUBJECT_CHARS", "composed"]
