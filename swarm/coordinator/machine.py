"""The coordinator as a LangGraph graph of phases: the one file here that knows langgraph.

    begin -> plan -> dispatch -> judge -> (dispatch again | consolidate) -> finish

The state is small: what is asked, which run answers it, a round, the next phase, and in the end the answer. What a
phase works with comes in through the runtime context: a `Desk` that the facade has opened, or a `Host` that opens
one when a phase needs it and closes it when the invocation ends. So the graph is compiled once, checkpointed
cheaply, and mounted in another graph.

Mounted, it may ask a person (`approve`), which ends the invocation until it is resumed; a drain ends it as well.
An invocation that comes in the middle begins with a desk that is restored from the journal, and goes on at
`dispatch`: what is done is not done again. Where what is asked is not what the run was asked, the run is forked:
the way leads to `begin` from everywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager, suppress
from functools import cache
from typing import Any, Protocol, cast

from langgraph.config import get_stream_writer
from langgraph.errors import GraphBubbleUp as GraphBubbleUp  # what asks a person, for whoever catches errors
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict  # that of `typing` has no schema before Python 3.12

from swarm.coordinator import asking, consolidate, dispatch, finish, judge, plan
from swarm.coordinator.desk import Desk
from swarm.coordinator.named import Place
from swarm.coordinator.work import phases
from swarm.errors import UsageError
from swarm.events import PhaseChanged
from swarm.graph.identity import digest
from swarm.observe.scope import within
from swarm.store.mailbox import request
from swarm.task import Answer

_PHASES_IN_ONE_ROUND = 2
_STEPS = 1_000  # of one invocation of a mounted graph, at the least: the limit of rounds is what ends a run
_POLL_SECONDS = 0.1  # how soon a drain is noticed while slices are worked


class Asked(TypedDict, total=False):
    """What goes in. What is left out, or empty, is as the graph was compiled with."""

    question: str
    """What to answer; for work, the goal."""
    questions: list[str]
    """In place of `question`, where there are several: the checks of a table."""
    paths: list[str]
    output: str
    slicing: str
    words: int
    mode: str
    done_when: str
    limits: dict[str, Any]
    """By their names in `swarm.Limits`."""
    run_id: str
    """The run that answers: one that the store holds goes on. Left out: that of the thread, or else a new one."""
    fork: str
    """Another name makes a run of its own of the same question."""


class Told(TypedDict, total=False):
    """What comes out, of plain values."""

    answer: str | None
    short: str | None
    status: str | None
    complete: bool | None
    stopped: str | None
    limit: str | None
    citations: list[dict[str, Any]] | None
    cells: list[dict[str, Any]] | None
    left_out: int | None
    """Cells of a long table that are in the journal alone."""
    coverage: dict[str, int] | None
    usage: dict[str, Any] | None
    cost_usd: float | None
    run_id: str


class State(Asked, Told, total=False):
    """What LangGraph carries between the phases. It says what is asked, and decides nothing of how far a run is:
    each phase goes by the desk, which goes by the journal, so that a checkpoint that is older than the journal
    leads nowhere else."""

    run: str
    asked: str
    """A name for what the run was asked."""
    round: int
    phase: str
    """The next one."""
    asking: dict[str, Any] | None
    """What a person is to be asked."""
    raised: dict[str, Any] | None
    """Limits that a person gave, for this run alone."""
    said: dict[str, str] | None
    """An instruction that a person gave, by `id` and `text`: the run takes it up, once, when it is next open."""
    approved: str
    """The run whose plan was approved."""
    ended: list[str | None] | None
    """Why a person let the run end, and at which limit."""


class Host(Protocol):
    """One invocation of a mounted graph: it opens what the phases work with, and closes it when it ends."""

    approve: str | None
    """`budget` or `plan`: when a person is asked."""
    ask_at_limit: bool

    @property
    def desk(self) -> Desk | None:
        """What is open now."""

    def listen(self, write: Callable[[Any], None]) -> None:
        """Where events go from now on."""

    def forward(self, write: Callable[[Any], None]) -> None:
        """Where they go if what `listen` is told leads nowhere, which is any other than this."""

    async def begin(self, state: State, place: Place) -> State:
        """Decide which run answers, and open it; no desk is open after where its answer is known."""

    async def open(self, state: State) -> Desk | Answer:
        """The desk of the run of a state, as the journal has it; its answer, where nothing is left to do."""

    async def expected(self, asks: asking.Asks) -> dict[str, Any]:
        """What to ask a person."""

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Around a phase: what people ask of the run meanwhile is heard."""

    def told(self, answer: Answer) -> State:
        """An answer in plain values."""

    async def end(self, answer: Answer) -> State:
        """Record an answer, and tell it."""

    async def close(self) -> None:
        """Let go of everything. Safe to call twice."""


_ASKED = tuple(name for name in Asked.__annotations__ if name not in ("limits", "run_id"))


def asked(state: State) -> str:
    """A name for what a state asks: another one is another run."""
    return digest("asked", *(repr(state.get(name) or None) for name in _ASKED))


async def _begin(state: State, runtime: Runtime[Any]) -> State:
    host: Desk | Host = runtime.context
    if isinstance(host, Desk):
        return {"phase": "plan"}
    info = runtime.execution_info
    place = Place() if info is None or info.thread_id is None else Place(str(info.thread_id), info.checkpoint_ns)
    if (host.approve or host.ask_at_limit) and place.thread is None:
        raise UsageError("a graph that asks a person needs a checkpointer and a thread_id: else nobody can reply")
    host.listen(runtime.stream_writer)
    told = await host.begin(state, place)
    if host.desk is None:
        return {**told, "phase": END}
    if host.approve == "budget":
        return {**told, **await _asking(host, "budget")}
    return {**told, "phase": "plan"}


async def _asking(host: Host, asks: asking.Asks) -> State:
    return {"asking": await host.expected(asks), "phase": "approve"}


async def _approve(state: State, runtime: Runtime[Any]) -> State:
    """Ask a person. Nothing is open meanwhile: the run may go on in another process."""
    question = state.get("asking") or {}
    await cast("Host", runtime.context).close()
    said = asking.understood(question["asks"], interrupt(question, response_schema=asking.SCHEMA))
    while isinstance(said, str):
        again = interrupt({**question, "problem": said}, response_schema=asking.SCHEMA)
        said = asking.understood(question["asks"], again)
    answered: State = {"asking": None, "raised": {**(state.get("raised") or {}), **said.limits}}
    if not said.approved:
        reason = [question["reason"], question["limit"]] if question["asks"] == "limit" else ["not approved", None]
        return {**answered, "ended": reason, "phase": "finish"}
    if said.instruction:
        made = request("steer", text=said.instruction)
        answered["said"] = {"id": made.id, "text": made.text}
    if question["asks"] == "budget":
        return {**answered, "phase": "plan"}
    return {**answered, "approved": state["run"], "phase": "dispatch"}


Work = Callable[[Desk, State, Runtime[Any], "Host | None"], Awaitable[State]]


def _phase(work: Work, *, anywhere: bool = False) -> Any:
    """A node: `work` with the desk, wherever it comes from. Where it had to be opened, only work that may be done
    `anywhere` is done at once; else the way leads to what the run has not done yet."""

    async def node(state: State, runtime: Runtime[Any]) -> State:
        host: Desk | Host = runtime.context
        if isinstance(host, Desk):
            return await work(host, state, runtime, None)
        host.listen(runtime.stream_writer)
        fresh = host.desk is None
        begun = await host.open(state)
        if isinstance(begun, Answer):
            return {**host.told(begun), "phase": END}
        if fresh and not anywhere and not state.get("ended"):
            return {**_told(begun), "phase": "dispatch"}
        async with host.at_work():
            return await work(begun, state, runtime, host)

    return node


async def _plan(desk: Desk, state: State, runtime: Runtime[Any], host: Host | None) -> State:
    with _entered(desk, "plan"):
        await _part(desk, "plan", plan.plan)(desk)
    if host is not None and host.approve == "plan" and state.get("approved") != desk.run and desk.stopped is None:
        return {**_told(desk), **await _asking(host, "plan")}
    return {**_told(desk), "phase": "dispatch"}


async def _dispatch(desk: Desk, state: State, runtime: Runtime[Any], host: Host | None) -> State:
    work = _part(desk, "dispatch", dispatch.dispatch)
    if host is not None:
        await _part(desk, "plan", plan.plan)(desk)  # nothing to do, but where an old checkpoint leads here
    with _entered(desk, "dispatch"):
        if host is None:
            await work(desk)
            return {**_told(desk), "phase": "judge"}
        watching = asyncio.create_task(_stop_on_drain(desk, runtime))
        try:
            await work(desk)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
    if desk.stopped == "interrupted" and runtime.drain_requested:
        desk.stopped = None
        return {**_told(desk), "phase": "dispatch"}
    if desk.limit is not None and host.ask_at_limit:
        return {**_told(desk), **await _asking(host, "limit")}
    return {**_told(desk), "phase": "judge"}


async def _stop_on_drain(desk: Desk, runtime: Runtime[Any]) -> None:
    """LangGraph looks for a drain between phases alone, and this one may take hours."""
    while not runtime.drain_requested:  # noqa: ASYNC110 - it sets nothing that one could wait for
        await asyncio.sleep(_POLL_SECONDS)
    desk.steering.stop()


async def _judge(desk: Desk, state: State, runtime: Runtime[Any], host: Host | None) -> State:
    if desk.task.output != "answer" or desk.stopped is not None:
        return {**_told(desk), "phase": "consolidate"}
    with _entered(desk, "judge"):
        go_on = bool(desk.planned) or await _part(desk, "judge", judge.judge)(desk)
    return {**_told(desk), "phase": "dispatch" if go_on else "consolidate"}


async def _consolidate(desk: Desk, state: State, runtime: Runtime[Any], host: Host | None) -> State:
    written = desk.program is not None and desk.program.answer is not None  # it is read by nobody then
    if desk.task.output not in plan.UNWRITTEN and desk.stopped is None and not written:
        with _entered(desk, "consolidate"):
            await consolidate.consolidate(desk)
    return {**_told(desk), "phase": "finish"}


async def _finish(desk: Desk, state: State, runtime: Runtime[Any], host: Host | None) -> State:
    ended = state.get("ended")
    if ended:
        desk.stopped, desk.limit = ended
    with _entered(desk, "finish"):
        desk.answer = await finish.finish(desk)
    if host is None:
        return {**_told(desk), "phase": END}
    if desk.limit is not None and host.ask_at_limit and not ended:
        return {**_told(desk), **await _asking(host, "limit")}
    return {**_told(desk), **await host.end(desk.answer), "phase": END}


def _part(desk: Desk, phase: str, reading: Callable[[Desk], Awaitable[Any]]) -> Callable[[Desk], Awaitable[Any]]:
    """Who does a phase: work towards a goal has a plan, a dispatch and a judge of its own."""
    working = {"plan": phases.plan, "dispatch": phases.dispatch, "judge": phases.judge}
    return working[phase] if desk.task.mode == "work" else reading


@contextmanager
def _entered(desk: Desk, phase: str) -> Iterator[None]:
    """In a phase: what is logged and asked there is named so."""
    working = phase == "dispatch" and desk.task.mode == "work"
    desk.emit(PhaseChanged(phase="work" if working else phase))
    with within(run=desk.run, asker=phase):
        yield


def _told(desk: Desk) -> State:
    return {"run": desk.run, "round": desk.round}


def _next(state: State) -> Hashable:
    """The next phase. What is asked may have been changed from outside, in this checkpoint or an older one."""
    if "asked" in state and state["asked"] != asked(state):
        return "begin"
    return state["phase"]


_WAYS = {
    "begin": ("plan", "approve", END),
    "approve": ("plan", "dispatch", "finish"),
    "plan": ("dispatch", "approve", END),
    "dispatch": ("judge", "dispatch", "approve", END),
    "judge": ("dispatch", "consolidate", END),
    "consolidate": ("finish", "dispatch", END),
    "finish": ("dispatch", "approve", END),
}
"""Where each phase may lead, but for `begin`."""


def _built() -> StateGraph[State, Any, Asked, Told]:
    graph: StateGraph[State, Any, Asked, Told] = StateGraph(State, input_schema=Asked, output_schema=Told)
    nodes: dict[str, Any] = {
        "begin": _begin,
        "approve": _approve,
        "plan": _phase(_plan, anywhere=True),
        "dispatch": _phase(_dispatch, anywhere=True),
        "judge": _phase(_judge),
        "consolidate": _phase(_consolidate),
        "finish": _phase(_finish),
    }
    graph.add_edge(START, "begin")
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_conditional_edges(name, _next, [*_WAYS[name], "begin"])
    return graph


@cache
def machine() -> CompiledStateGraph[State, Any, Asked, Told]:
    """The graph of phases for a desk that is handed in as its context."""
    return _built().compile()


class Mounted(CompiledStateGraph[State, Any, Asked, Told]):
    """The graph of phases for users: each invocation has a host of its own, which is closed when it ends, in
    whatever way. A runtime context of the caller's is not for this graph."""

    def __init__(self, *, host: Callable[[], Host], **settings: Any) -> None:
        super().__init__(**settings)
        self.host = host

    async def astream(self, input: Any, config: Any = None, **settings: Any) -> AsyncIterator[Any]:  # noqa: A002
        host = self.host()
        if (outer := _outer_stream(settings.get("stream_mode"))) is not None:
            host.forward(outer)
        config = {**(config or {}), "recursion_limit": max(_STEPS, (config or {}).get("recursion_limit", 0))}
        try:
            stream = super().astream(input, config, **{**settings, "context": host})
            async with aclosing(cast("Any", stream)) as parts:
                async for part in parts:
                    yield part
        finally:
            await host.close()


def _outer_stream(modes: Any) -> Callable[[Any], None] | None:
    """The stream of the graph that this one is a node of, for events that nobody here asks for. LangGraph carries
    what a subgraph writes to its parent only where the parent is streamed with `subgraphs`."""
    if "custom" not in ([modes] if isinstance(modes, str) else modes or ()):
        with suppress(RuntimeError, KeyError):  # it is no node
            return get_stream_writer()
    return None


def mounted(host: Callable[[], Host], checkpointer: Any = None, name: str = "swarm") -> Mounted:
    """The graph with hosts of its own. Without a checkpointer a parent graph's is inherited."""
    compiled = _built().compile(checkpointer=checkpointer, name=name)
    return Mounted(host=host, **vars(compiled))  # as `Pregel.copy` makes one of another


async def run(desk: Desk) -> Answer:
    """Run all phases over a desk whose corpus is gathered.

    Raises:
        SwarmError: see each phase.
    """
    steps = 5 + _PHASES_IN_ONE_ROUND * max(1, desk.rounds_allowed, desk.round + 1)
    config: Any = {"recursion_limit": steps}
    await machine().ainvoke({}, config, context=desk)
    assert desk.answer is not None
    return desk.answer
