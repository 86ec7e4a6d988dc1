"""What a run tells machines: its spans by name and attributes, in one place for those that are sent while it goes
on and for those that are made from its journal later.

The names are those of OpenTelemetry's conventions for generative AI, version 0.1.0, which are in development; what
these have no name for is under `swarm.`. Ids, numbers and names are told, and never what was asked, read or
answered. This module knows neither OpenTelemetry nor the journal.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from swarm.observe.scope import PHASES
from swarm.task import Slice, Usage

Value = str | int | float | bool
Attributes = dict[str, Value]

FAILED_TRY: Final = "swarm.try.failed"
"""The event of a try that came to nothing."""
OPERATION, ERROR = "gen_ai.operation.name", "error.type"
PROVIDER, MODEL = "gen_ai.provider.name", "gen_ai.request.model"

_LOCAL = "swarm"  # the provider of a model that computes in this process
_KINDS = {"openai-responses": "openai", "openai-chat": "openai", "extractive": _LOCAL}
_LANGCHAIN = {
    "azure_openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
"""LangChain's names of providers, where the conventions have another."""
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_WHOLE_RUN = ("interrupted", "not approved")


@dataclass(frozen=True, slots=True)
class Told:
    """A span as it begins. `remote` where it waits for another process."""

    name: str
    attributes: Attributes
    remote: bool = False


# Ids


def trace_id(run: str) -> int:
    """The trace of a run, in all its sessions, where Swarm chooses it. Never 0."""
    return _number("run", run, size=16)


def span_id(*parts: object) -> int:
    """The span that is named so, where Swarm chooses it. Never 0."""
    return _number(*parts, size=8)


def _number(*parts: object, size: int) -> int:
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=size, person=b"swarm spans").digest()) or 1


def run_key(run: str, session: int) -> tuple[object, ...]:
    return "run", run, session


def phase_key(run: str, session: int, phase: str, number: int) -> tuple[object, ...]:
    """`number` counts the times that the phase was entered in the session, and had something to do, from 1."""
    return "phase", run, session, phase, number


def asker_key(run: str, session: int, asker: str, again: int = 0) -> tuple[object, ...]:
    """`again`: how often a slice was worked before in the session."""
    return "asker", run, session, asker, again


def call_key(run: str, session: int, key: str, again: int = 0) -> tuple[object, ...]:
    return "call", run, session, key, again


def tool_key(run: str, session: int, asker: str, ref: str, again: int = 0) -> tuple[object, ...]:
    return "tool", run, session, asker, ref, again


# Spans


def run_span(run: str, session: int, model: str, reader: str, mode: str, output: str) -> Told:
    """A session of a run: from when it began or went on until it has an answer."""
    more: Attributes = {"swarm.model": model, "swarm.reader": reader, "swarm.mode": mode, "swarm.output": output}
    named: Attributes = {OPERATION: "invoke_workflow", "gen_ai.agent.name": "swarm"}
    return Told("invoke_workflow swarm", named | _of(run, session) | more)


def run_end(status: str, stopped: str | None, limit: str | None, usage: Usage) -> Attributes:
    """What a session came to. Usage is that of the run, from its beginning. Why it was stopped is told by one of
    a few words: what a judge said of it is not."""
    told: Attributes = {
        "swarm.status": status,
        "swarm.run.calls": usage.calls,
        "swarm.run.tokens": usage.tokens,
        "swarm.run.cost_usd": usage.cost_usd,
    }
    if stopped is not None:
        told["swarm.stopped"] = "limit" if limit else stopped if stopped in _WHOLE_RUN else "other"
    if limit:
        told["swarm.limit"] = limit
    return told


def phase_span(run: str, session: int, phase: str) -> Told:
    """A part of the run that asks or works something."""
    named: Attributes = {OPERATION: "plan", "gen_ai.agent.name": "coordinator"} if phase == "plan" else {}
    return Told(
        "plan coordinator" if phase == "plan" else phase, named | _of(run, session) | {"swarm.phase": phase}
    )


def asker_span(run: str, session: int, asker: str) -> Told:
    """A planner or a judge of a branch of work, as `asker` names it."""
    what = asker.partition(":")[0]
    named: Attributes = {OPERATION: "plan", "gen_ai.agent.name": "planner"} if what == "plan" else {}
    return Told("plan planner" if what == "plan" else what, named | _of(run, session) | by(asker))


def slice_span(run: str, session: int, slice_: Slice) -> Told:
    """A slice that is worked, by an agent in its role; its branch is the slice that it is a part of, nothing for
    the outermost, or its question where it is read (`branch_of`)."""
    order = slice_.order
    agent = (order.role or "worker") if order is not None else "reader"
    branch = (slice_.parent or "") if order is not None else branch_of(slice_.question)
    more: Attributes = {
        "swarm.slice.id": slice_.id,
        "swarm.slice.round": slice_.round,
        "swarm.slice.tokens": slice_.tokens,
    }
    more |= {"swarm.branch.id": branch} if branch else {}
    named: Attributes = {OPERATION: "invoke_agent", "gen_ai.agent.name": agent}
    return Told(f"invoke_agent {agent}", named | _of(run, session) | more)


def slice_end(state: str) -> Attributes:
    """What became of a slice: `done`, `failed`, `split`, `dropped`; `stopped` where the run ended before, or it
    was interrupted, and `running` where it is not over."""
    told: Attributes = {"swarm.slice.state": state}
    return told | ({ERROR: "SliceFailed"} if state == "failed" else {})


def on_machine(machine: str, host: str) -> Attributes:
    """Where a slice was worked, if not in the process of its run."""
    return {"swarm.machine.id": machine, "host.name": host}


def call_span(
    run: str,
    session: int,
    asker: str,
    key: str,
    *,
    model: str,
    kind: str,
    window: int,
    tokens: int,
    cost_usd: float,
    lane: str,
) -> Told:
    """A call of a model, with all its tries. `tokens` are the input as counted and the longest reply; `cost_usd`
    is the most that one try can come to. `lane` is the model's: it may name the server."""
    told: Attributes = {
        OPERATION: "chat",
        **asked_of(model, lane),
        **_of(run, session),
        **by(asker),
        "swarm.call.id": key,
        "swarm.prompt": kind,
        "swarm.worst.tokens": tokens,
        "swarm.worst.cost_usd": cost_usd,
    }
    if window:
        told |= {"swarm.window.limit": window, "swarm.window.fill": tokens / window}
    return Told(f"chat {told[MODEL]}", told, remote=told[PROVIDER] != _LOCAL)


def call_end(usage: Usage, tries: int, *, refused: bool = False) -> Attributes:
    """What came of a call, over all its tries; of one that may have been billed without a reply, the most that it
    can have come to."""
    told: Attributes = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "swarm.cost_usd": usage.cost_usd,
        "swarm.tries": tries,
    }
    if usage.cached_tokens:
        told["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    if usage.input_tokens:
        told["swarm.cached_share"] = usage.cached_tokens / usage.input_tokens
    return told | ({"swarm.refused": True, ERROR: "Refused"} if refused else {})


def failed_try(error: str, number: int, usage: Usage) -> Attributes:
    """A try that came to nothing. `error` is the name of its kind."""
    told: Attributes = {ERROR: error, "swarm.try": number}
    if usage.calls:
        told |= {"swarm.in_doubt": True, "swarm.cost_usd": usage.cost_usd}
    return told


def tool_span(run: str, session: int, asker: str, name: str, ref: str) -> Told:
    """A tool that is used. `ref` is the place of the use among all of its sub-agent. A name that nobody gave to a
    tool is a model's word, and is not told."""
    tool = name if _TOOL_NAME.fullmatch(name) else "unknown"
    named: Attributes = {OPERATION: "execute_tool", "gen_ai.tool.name": tool, "gen_ai.tool.call.id": ref}
    named["gen_ai.tool.type"] = "function"
    return Told(f"execute_tool {tool}", named | _of(run, session) | by(asker))


def tool_end(*, failed: bool) -> Attributes:
    return {ERROR: "ToolFailed"} if failed else {}


def _of(run: str, session: int) -> Attributes:
    return {"gen_ai.conversation.id": run, "swarm.run.id": run, "swarm.session": session}


def by(asker: str) -> Attributes:
    """Who asks, without the name of a branch: that is a planner's word."""
    if not asker or asker in PHASES:
        return {"swarm.phase": asker} if asker else {}
    what, _, rest = asker.partition(":")
    if what not in ("plan", "judge") or not rest:
        return {"swarm.slice.id": asker}
    branch, _, number = rest.rpartition(":")
    told: Attributes = {"swarm.phase": what}
    told |= {"swarm.branch.id": _order_id(branch)} if branch else {}
    return told | ({"swarm.number": int(number)} if number.isdigit() else {})


@lru_cache(maxsize=64)
def asked_of(model: str, lane: str) -> Attributes:
    """Provider, model and server. Of several models in a row, the provider of the first."""
    names = [one.partition(":") for one in model.split("|")]
    told: Attributes = {PROVIDER: _provider(*names[0]), MODEL: "|".join(last or kind for kind, _, last in names)}
    host, _, port = address_in(lane).rpartition(":")
    if host and port.isdigit():
        told |= {"server.address": host.strip("[]"), "server.port": int(port)}
    elif port:
        told |= {"server.address": address_in(lane), "server.port": 443}
    return told


def address_in(lane: str) -> str:
    """The server that a lane leads to: host, and port where it was named; empty where it says none."""
    return lane.rpartition(" at ")[2] if " at " in lane else ""


def _provider(kind: str, _: str, model: str) -> str:
    if kind == "langchain":
        named = model.partition("/")[0]
        return _LANGCHAIN.get(named, named)
    return _KINDS.get(kind, kind)


@lru_cache(maxsize=4_096)
def branch_of(question: str) -> str:
    """The branch that the slices of one question are."""
    return blake2b(question.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@lru_cache(maxsize=4_096)
def _order_id(name: str) -> str:
    """As `swarm.coordinator.work.state.order_id`, which stands above; a test holds them together."""
    body = json.dumps(["order", name], ensure_ascii=False, separators=(",", ":")).encode()
    return "s" + blake2b(body, digest_size=16, person=b"slice").hexdigest()


def kind_of(failure: str) -> str:
    """What kind of failure it was, as the journal keeps it: its kind comes first."""
    kind = failure.partition(":")[0]
    return kind if kind.isidentifier() else "Lost"
