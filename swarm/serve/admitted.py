"""What a request may come to, before it is sent: how long its reply can be, and what of it no limit could hold.

A client whose dollars or tokens are limited is held to what can be told beforehand: a reply that has no bound gets
one, and what is billed by other measures than tokens is refused. This module knows bodies and limits; it sends
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from swarm.models.base import FREE, Price
from swarm.serve.clients import Client
from swarm.serve.request import Request, Wrong
from swarm.serve.upstream import Behind
from swarm.serve.wire.shared import field_of

_USUAL_TIERS = {None, "auto", "default", "standard", "standard_only", "flex"}
_USUAL_REPLY = 4_096  # tokens of the window that are kept for a reply of no bound
_KEPT_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
_OTHERWISE_BILLED = (
    "mcp_servers", "web_search_options", "plugins",  # tools that the provider runs
    "models", "fallbacks",  # other models, at other prices
    "inference_geo", "best_of",
)  # fmt: skip
_MOST_REPLIES = 1_000
_OWN_TOOLS: dict[str, frozenset[Any]] = {
    "chat": frozenset({None, "function", "custom"}),
    "responses": frozenset({None, "function", "custom", "local_shell", "apply_patch"}),
    "messages": frozenset({None, "custom"}),
}
_CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
"""Tools of Anthropic's that the client runs itself, by the beginnings of their types."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """`output_tokens` is the longest that all replies can be together, `reply` what of the window is kept for one;
    `changes` are top fields of the body that make it so. `elsewhere` is true where a part of the request is kept
    by the provider, and cannot be counted. The provider reads the request `times`, and at `price`."""

    output_tokens: int
    reply: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: bool = False
    times: int = 1
    price: Price = FREE


def bound_of(request: Request, to: Behind, client: Client) -> Bound:
    """How long the reply can be.

    Raises:
        Wrong: the client's limits could not be kept.
    """
    body = request.body
    if body.get("background"):
        raise Wrong(400, "background: ask for the reply itself, streamed if it takes long", param="background")
    replies = field_of(body, "n", int, 1) if request.wire == "chat" else 1
    if not 1 <= replies <= _MOST_REPLIES:
        raise Wrong(400, f"n is {replies}: give a number from 1 to {_MOST_REPLIES:,}", param="n")
    longest, changes = request.max_output, dict[str, Any]()
    if client.bounded:
        _refuse_unbounded(request, client)
        if longest is None:
            longest = min(to.max_output, max(_USUAL_REPLY, to.window // 4))
            changes[_limit_name(request, to)] = longest
    return Bound(
        output_tokens=(longest or to.max_output) * replies,
        reply=longest or _USUAL_REPLY,
        changes=changes,
        elsewhere=kept_elsewhere(request) is not None,
        times=2 if _compacts(request) else 1,
        price=_price(request, to.price),
    )


def kept_elsewhere(request: Request) -> str | None:
    """The field by which a part of the conversation is kept by the provider, if one is."""
    named = next((name for name in _KEPT_ELSEWHERE if request.body.get(name)), None)
    items = request.body.get("input") if request.wire == "responses" else None
    if named is None and isinstance(items, list) and any(one.get("type") == "item_reference" for one in items):
        return "item_reference"
    return named


def half_kept() -> Wrong:
    """What is said of a request that goes on with a reply of which the provider keeps a part alone."""
    return Wrong(
        400,
        "the provider keeps only a part of what that reply answered: send the whole conversation as input",
        code="previous_response_not_found",
        param="previous_response_id",
    )


def unanswerable(request: Request) -> Wrong | None:
    """Why no answer can be made of a request without a model behind; None where one can."""
    if (kept := kept_elsewhere(request)) is not None:
        return Wrong(400, f"{kept}: nobody keeps a part of the conversation here: send all of it", param=kept)
    if has_form(request.body):
        return Wrong(400, "without a model behind, no reply can be of a given form", param="response_format")
    return None


def has_form(body: Mapping[str, Any]) -> bool:
    """Whether the reply is to be of a form that labels would break."""
    text = body.get("text")
    forms = [body.get("response_format"), body.get("output_config"), {"format": body.get("output_format")}]
    forms += [text.get("format")] if isinstance(text, dict) else []
    return any(
        isinstance(form, dict) and bool(form.get("format") or str(form.get("type", "")).startswith("json"))
        for form in forms
    )


def _compacts(request: Request) -> bool:
    """Whether the provider may sum the conversation up on its way, which it bills beside the reply."""
    if request.body.get("compaction"):
        return True
    given = request.body.get("context_management")
    edits = given.get("edits") if isinstance(given, dict) else given
    several = edits if isinstance(edits, list) else ()
    return any(isinstance(edit, dict) and "compact" in str(edit.get("type")) for edit in several)


def _price(request: Request, price: Price) -> Price:
    """What is written to the cache of Anthropic's for an hour costs twice as much as other input."""
    if request.wire != "messages" or price.written_usd is None or not _for_an_hour(request.body):
        return price
    return replace(price, written_usd=max(price.written_usd, 2 * price.input_usd))


def _for_an_hour(value: Any) -> bool:
    """Whether any part asks for that; looked for where such marks can stand, and nowhere deeper."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            mark = one.get("cache_control")
            if isinstance(mark, dict) and mark.get("ttl") not in (None, "5m"):
                return True
            waiting += [one[name] for name in ("messages", "system", "tools", "content") if name in one]
    return False


def _limit_name(request: Request, to: Behind) -> str:
    if request.wire == "chat":
        return "max_completion_tokens" if to.hosted else "max_tokens"
    return "max_output_tokens" if request.wire == "responses" else "max_tokens"


def _refuse_unbounded(request: Request, client: Client) -> None:
    body = request.body
    tier, speed = field_of(body, "service_tier", str, None), field_of(body, "speed", str, None)
    if tier not in _USUAL_TIERS or speed not in (None, "standard"):
        raise Wrong(400, "a client with a limit cannot ask for a tier of another price", param="service_tier")
    hosted = next(_hosted(request), None)
    if hosted is not None and not client.hosted_tools:
        raise Wrong(
            400,
            f"{hosted}: the provider bills this by other measures, which the limit of this client cannot hold; "
            "leave it out",
            param="tools",
        )


def _hosted(request: Request) -> Iterator[str]:
    """What is billed by other measures, most of all tools that the provider runs."""
    own = _OWN_TOOLS[request.wire]
    for tool in field_of(request.body, "tools", list, ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        known = kind is None or isinstance(kind, str)
        if not known or (kind not in own and not str(kind).startswith(_CLIENT_TOOLS)):
            yield str(kind)[:60]
    for name in _OTHERWISE_BILLED:
        if request.body.get(name):
            yield name
    if request.body.get("modalities") not in (None, ["text"]):
        yield "modalities"
