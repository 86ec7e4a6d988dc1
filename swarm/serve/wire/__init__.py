"""The three wires of the endpoint: each reads its requests and replies, and writes them.

None of them knows HTTP, a model or a limit.
"""

from __future__ import annotations

from swarm.serve.request import Wire, WireName
from swarm.serve.wire import chat, messages, responses

WIRES: dict[WireName, Wire] = {"chat": chat, "responses": responses, "messages": messages}
"""By their names."""
PATHS: dict[str, WireName] = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
}
"""Where each is asked, here and at the model behind."""
