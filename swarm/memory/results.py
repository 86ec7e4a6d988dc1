"""Results of tools that would fill a list alone: their beginning, and a note that says where the rest is.

The whole of it was remembered, and the note names it there; by the note it is known again when the list comes
back.
This module knows the shapes of results, and neither budgets nor memories.
"""

from __future__ import annotations

import re
from typing import Any

from swarm.memory.units import text_of

_NOTE = re.compile(r"\n\[… the rest of ([\d,]+) characters is in the memory, as (t[0-9a-f]{16})\]\Z")
_ID_CHARS = 17


def shortened(message: Any, one: dict[str, Any], chars: int, id_: str) -> tuple[Any, dict[str, Any]]:
    """A result, as the SDK has it and as plain dicts, with this many characters left of each text; `id_` is what
    it is called in the memory."""
    if "output" in one:
        less = {**one, "output": _cut(one["output"], chars, id_)}
        return less, less
    content = one.get("content")
    blocks = content if isinstance(content, list) else []
    if any(isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks):
        less = {**one, "content": [_block(block, chars, id_) for block in blocks]}
        return less, less
    text = _cut(content, chars, id_)
    if callable(copied := getattr(message, "model_copy", None)):
        return copied(update={"content": text}), {**one, "content": text}
    less = {**one, "content": text}
    return less, less


def named_in(one: dict[str, Any]) -> str | None:
    """What a result that was shortened is called in the memory; None for a message that is whole."""
    content = one.get("output", one.get("content"))
    texts = (
        [block.get("content") for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    )
    found = (_NOTE.search(text) for text in (content, *texts) if isinstance(text, str))
    return next((note[2] for note in found if note is not None), None)


def _block(block: Any, chars: int, id_: str) -> Any:
    if not isinstance(block, dict) or block.get("type") != "tool_result":
        return block
    return {**block, "content": _cut(block.get("content"), chars, id_)}


def _cut(content: Any, chars: int, id_: str) -> str:
    text = text_of({"content": content})
    if len(text) <= chars:
        return text
    return f"{text[:chars]}\n[… the rest of {len(text):,} characters is in the memory, as {id_[:_ID_CHARS]}]"


__all__ = ["named_in", "shortened"]
