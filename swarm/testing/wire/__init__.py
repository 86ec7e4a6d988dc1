"""The formats of Anthropic Messages, OpenAI Chat Completions and OpenAI Responses, as a server writes them.

Each turns a request's body into an `Asked` and a `Said` into a body or a stream of events. Only what a client of
Swarm meets is here. None of it knows HTTP.
"""

from __future__ import annotations

from swarm.testing.wire.base import Asked, Called, Format, Said, Turn
from swarm.testing.wire.chat import CHAT
from swarm.testing.wire.messages import MESSAGES
from swarm.testing.wire.responses import RESPONSES

__all__ = ["CHAT", "MESSAGES", "RESPONSES", "Asked", "Called", "Format", "Said", "Turn"]
