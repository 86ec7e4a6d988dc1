"""The span of a call of a model, from its first try to its last, and its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextvars import Token
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from swarm.observe import spans
from swarm.observe.heard import Sent, Tried, under_way
from swarm.observe.metrics import Instruments
from swarm.observe.nodes import Node, never_fails
from swarm.observe.spans import ERROR
from swarm.task import Usage

if TYPE_CHECKING:
    from types import TracebackType


class CallSpan:
    """As a context manager it hands out what is told of the reply. The span begins when the first try is sent: a
    call that a limit does not let leave is none. `again` counts the calls that came to nothing, by their keys."""

    def __init__(
        self, parent: Node, session: int, call: Sent, asker: str, meters: Instruments, again: Counter[str]
    ) -> None:
        self._parent, self._session, self._call, self._asker = parent, session, call, asker
        self._meters, self._again = meters, again
        self._node: Node | None = None
        self._tries = 0
        self._usage = Usage()
        self._error: str | None = None
        self._refused = False
        self._token: Token[Tried | None] | None = None

    def __enter__(self) -> Callable[[Any], Any]:
        self._token = under_way.set(self)
        return self._told

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        assert self._token is not None
        under_way.reset(self._token)
        if self._node is not None:
            self._end(self._node, error)

    @never_fails
    def opened(self) -> trace.Span:
        """The span, begun."""
        return self._begun().opened()

    def _begun(self) -> Node:
        if self._node is None:
            parent, call = self._parent, self._call
            told = spans.call_span(
                parent.run,
                self._session,
                self._asker,
                call.key,
                model=call.model.name,
                kind=call.prompt.kind,
                window=call.model.window,
                tokens=call.worst.tokens,
                cost_usd=call.worst.cost_usd,
                lane=getattr(call.model, "lane", ""),
            )
            key = spans.call_key(parent.run, self._session, call.key, self._again[call.key])
            self._node = Node(parent.tracer, parent.run, told, key, parent)
            self._meters.sent(told.attributes)
        return self._node

    @never_fails
    def failed(self, error: BaseException, usage: Usage) -> None:
        """A try came to nothing."""
        node = self._begun()
        self._tries += 1
        self._usage += usage
        self._error = type(error).__name__
        node.opened().add_event(spans.FAILED_TRY, spans.failed_try(self._error, self._tries, usage))
        self._meters.tried(node.told.attributes, self._error)

    def _told(self, completion: Any) -> Any:
        self._tries += 1
        self._usage += completion.usage
        self._refused = completion.refusal is not None
        return completion

    @never_fails
    def _end(self, node: Node, error: BaseException | None) -> None:
        told = spans.call_end(self._usage, self._tries, refused=self._refused)
        if error is not None:
            told[ERROR] = self._error or type(error).__name__
        failed = told.get(ERROR)
        if failed is not None:
            self._again[self._call.key] += 1
        seconds = node.end(told)
        self._meters.called(node.told.attributes, self._usage, seconds, None if failed is None else str(failed))
