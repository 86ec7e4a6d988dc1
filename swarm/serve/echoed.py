"""Citations of this endpoint that a client sends back, taken out again: a conversation holds the replies as they
came, and a provider knows none of these.

Only what is certain to be from here is taken: its address says so. This module knows where the wires keep
annotations, and nothing else of them.
"""

from __future__ import annotations

from typing import Any

from swarm.serve.body import Body

SCHEME = "swarm:/"
"""How the address of what is cited begins."""
_LISTS = ("messages", "input")
_MARK = b"swarm:"
_DEPTH = 4  # of content within messages


async def without(body: Body) -> Body:
    """The body, without what this endpoint wrote into replies that stand in it."""
    if _MARK not in body.raw:
        return body
    changes = {name: [_clean(one) for one in body.data[name]] for name in _LISTS if _holds(body.data.get(name))}
    changes = {name: value for name, value in changes.items() if value != body.data[name]}
    return await Body.of(body.having(changes)) if changes else body


def _holds(value: Any) -> bool:
    return isinstance(value, list)


def _clean(value: Any, depth: int = _DEPTH) -> Any:
    if isinstance(value, list) and depth:
        return [_clean(one, depth - 1) for one in value]
    if not isinstance(value, dict):
        return value
    made = dict(value)
    for name in ("annotations", "citations"):
        told = made.get(name)
        if not isinstance(told, list) or not any(map(_ours, told)):
            continue
        made[name] = [one for one in told if not _ours(one)]
        if not made[name] and made.get("type") != "output_text":  # where the list has to be there
            del made[name]
    if isinstance(made.get("content"), list):
        made["content"] = _clean(made["content"], depth)
    return made


def _ours(one: Any) -> bool:
    if not isinstance(one, dict):
        return False
    told = one.get("url_citation")
    url = (told if isinstance(told, dict) else one).get("url")
    return isinstance(url, str) and url.startswith(SCHEME)
