"""A request of one wire, answered by a model that has another: text, and nothing but text.

What cannot be said in the other wire is refused before anything is sent, with the endpoint that takes it. This
module knows no limits and no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarm.serve.request import Request, Wire, WireName, Wrong
from swarm.serve.upstream import Behind
from swarm.serve.wire import PATHS

_PATH_OF = {wire: path for path, wire in PATHS.items()}
_KEPT = ("temperature", "top_p")
_UNSAID: dict[WireName, tuple[str, ...]] = {
    "chat": ("tools", "functions", "logprobs", "audio", "modalities", "prediction", "web_search_options"),
    "responses": ("tools", "previous_response_id", "conversation", "prompt", "background", "include"),
    "messages": ("tools", "mcp_servers", "container", "output_config"),
}


def native(to: Behind, wire: WireName) -> bool:
    """Whether the model behind has this wire itself."""
    return to.wires[wire] == wire


def translated(request: Request, to: Behind, target: Wire, longest: int | None, room: int) -> dict[str, Any]:
    """The body of the same request in the wire of the model behind. `longest` is what the reply may be at most, in
    tokens, None where nobody says: then, in a wire that has to be told, what the model may say and `room` holds.

    Raises:
        Wrong: it holds what cannot be said in it.
    """
    if (what := next(_unsaid(request, target.name), None)) is not None:
        path = _PATH_OF[target.name]
        raise Wrong(
            400,
            f"{what}: the model behind is asked by way of {path}, and from {_PATH_OF[request.wire]} only text is "
            f"translated; send such requests to {path}",
            param=what,
        )
    body = target.text_only(request, to.name, longest or max(1, min(to.max_output, room)))
    if target.name == "chat" and not to.hosted:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if longest is None and target.name != "messages":
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            body.pop(name, None)
    body |= {name: request.body[name] for name in _KEPT if request.body.get(name) is not None}
    if target.name == "messages" and isinstance(body.get("temperature"), int | float):
        body["temperature"] = min(1.0, body["temperature"])
    stop = request.body.get("stop_sequences" if request.wire == "messages" else "stop")
    if stop:
        several = [stop] if isinstance(stop, str) else stop
        body["stop_sequences" if target.name == "messages" else "stop"] = several
    if request.stream:
        body["stream"] = True
        if target.name == "chat":
            body["stream_options"] = {"include_usage": True}
    return body


def _unsaid(request: Request, target: WireName) -> Iterator[str]:
    """What of a request the other wire cannot say, by its field."""
    body = request.body
    for name in _UNSAID[request.wire]:
        if body.get(name) not in (None, [], {}, False, ["text"]) and not _plain(body[name]):
            yield name
    if isinstance(body.get("n"), int) and body["n"] > 1:
        yield "n"
    for name in ("response_format", "text"):
        if request.wire != "messages" and not _plain(body.get(name)):
            yield name
    if target == "responses" and (body.get("stop") or body.get("stop_sequences")):
        yield "stop"
    for turn in request.turns:
        for part in turn.parts:
            if part.kind != "text" or part.text is None:
                yield ".".join(str(step) for step in part.path[:2]) or "messages"


def _plain(form: Any) -> bool:
    """Whether the form of a reply is that of text."""
    if not isinstance(form, dict):
        return form is None
    told = form.get("format", form)
    return not isinstance(told, dict) or told.get("type") in (None, "text")
