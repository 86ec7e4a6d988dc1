"""What a request may come to, before it is sent: how long its reply can be, and what of it no limit could hold.

A client whose dollars or tokens are limited is held to what can be told beforehand: a reply that has no bound gets
one, and what is billed by other measures than tokens is refused. This module knows bodies and limits; it sends
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarm.serve.clients import Client
from swarm.serve.request import Request, Wrong
from swarm.serve.upstream import Behind

_USUAL_TIERS = {None, "auto", "default", "standard", "standard_only", "flex"}
_USUAL_REPLY = 4_096  # tokens of the window that are kept for a reply of no bound
_KEPT_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
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
    by the provider, and cannot be counted."""

    output_tokens: int
    reply: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: bool = False


def bound_of(request: Request, to: Behind, client: Client) -> Bound:
    """How long the reply can be.

    Raises:
        Wrong: the client's limits could not be kept.
    """
    body = request.body
    if body.get("background"):
        raise Wrong(400, "background: ask for the reply itself, streamed if it takes long", param="background")
    elsewhere = any(body.get(name) for name in _KEPT_ELSEWHERE)
    longest, changes = request.max_output, dict[str, Any]()
    if client.bounded:
        _refuse_unbounded(request, client)
        if longest is None:
            longest = min(to.max_output, max(_USUAL_REPLY, to.window // 4))
            changes[_limit_name(request, to)] = longest
    times = body.get("n") if request.wire == "chat" else 1
    times = times if isinstance(times, int) and 0 < times <= 1_000 else 1
    return Bound(
        output_tokens=(longest or to.max_output) * times,
        reply=longest or _USUAL_REPLY,
        changes=changes,
        elsewhere=elsewhere,
    )


def _limit_name(request: Request, to: Behind) -> str:
    if request.wire == "chat":
        return "max_completion_tokens" if to.hosted else "max_tokens"
    return "max_output_tokens" if request.wire == "responses" else "max_tokens"


def _refuse_unbounded(request: Request, client: Client) -> None:
    body = request.body
    if body.get("service_tier") not in _USUAL_TIERS or body.get("speed") not in (None, "standard"):
        raise Wrong(400, "a client with a limit cannot ask for a tier of another price", param="service_tier")
    hosted = next(_hosted(request), None)
    if hosted is not None and not client.hosted_tools:
        raise Wrong(
            400,
            f"{hosted}: the provider runs this tool itself and bills it by other measures, which the limit of "
            "this client cannot hold; leave it out",
            param="tools",
        )


def _hosted(request: Request) -> Iterator[str]:
    """Tools that the provider runs."""
    own = _OWN_TOOLS[request.wire]
    for tool in request.body.get("tools") or ():
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in own and not str(kind).startswith(_CLIENT_TOOLS):
            yield str(kind)[:60]
    for name in ("mcp_servers", "web_search_options"):
        if request.body.get(name):
            yield name
