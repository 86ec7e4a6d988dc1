"""What is told of calls and tools, in whichever process they are made: as parts of the span that one is in.

Whoever has such a span, of a whole run or of one slice of it, derives from `Parts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version

from opentelemetry import metrics, trace

from swarm.observe import spans
from swarm.observe.calls import CallSpan
from swarm.observe.heard import Sent, under_way
from swarm.observe.metrics import Instruments
from swarm.observe.nodes import Node, current, never_fails
from swarm.observe.spans import ERROR, Attributes, Told

here: ContextVar[Node | None] = ContextVar("swarm_span", default=None)
"""The innermost span that the program is in."""
_made: list[tuple[object, Instruments]] = []  # those of the last provider of metrics that was seen


class Parts:
    """Of one session of a run; `_root` is the outermost span here."""

    _root: Node

    def __init__(self, run: str, session: int) -> None:
        self._run, self._session = run, session
        self._tracer = trace.get_tracer("swarm", version("swarm-memory"))
        self._meters = instruments()
        self._again: Counter[str] = Counter()
        """How often a call or a slice came to nothing in this session: it may be begun again."""

    def call(self, call: Sent, asker: str) -> CallSpan:
        """See `telemetry.asked`."""
        return CallSpan(self._here(), self._session, call, asker, self._meters, self._again)

    @contextmanager
    def in_call(self) -> Iterator[None]:
        """In the span of the call that is being made."""
        call = under_way.get()
        with current(call.opened() if isinstance(call, CallSpan) else None):
            yield

    @contextmanager
    def tool(self, asker: str, name: str, ref: str) -> Iterator[Callable[[tuple[str, bool]], tuple[str, bool]]]:
        """See `telemetry.using`."""
        node = self._tool(asker, name, ref)
        told: Attributes = {}

        def hear(came: tuple[str, bool]) -> tuple[str, bool]:
            told.update(spans.tool_end(failed=came[1]))
            return came

        try:
            with current(node.span if node is not None else None):
                yield hear
        except BaseException as error:
            told[ERROR] = type(error).__name__
            raise
        finally:
            if node is not None:
                self._used(node, told)

    @never_fails
    def _tool(self, asker: str, name: str, ref: str) -> Node:
        told = spans.tool_span(self._run, self._session, asker, name, ref)
        node = self._node(told, spans.tool_key(self._run, self._session, asker, ref, self._again[asker]))
        node.opened()
        return node

    @never_fails
    def _used(self, node: Node, told: Attributes) -> None:
        self._meters.used(node.told.attributes | told, node.end(told))

    def _node(self, told: Told, key: tuple[object, ...]) -> Node:
        return Node(self._tracer, self._run, told, key, self._here())

    def _here(self) -> Node:
        """The innermost of these that the program is in."""
        node = here.get()
        return node if node is not None and node.run == self._run else self._root


def instruments() -> Instruments:
    """Those of the process's provider of metrics, made once."""
    provider = metrics.get_meter_provider()
    if not _made or _made[0][0] is not provider:
        _made[:] = [(provider, Instruments(metrics.get_meter("swarm", version("swarm-memory"))))]
    return _made[0][1]
