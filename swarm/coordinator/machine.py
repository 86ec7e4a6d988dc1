"""The coordinator as a LangGraph graph of phases.

    plan -> dispatch -> judge -> (dispatch again | consolidate) -> finish

The state is small: a round and a verdict, never content. What a phase works with comes in through the runtime
context (`Desk`), so that the graph can be compiled once, checkpointed cheaply and mounted in another graph.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from swarm.coordinator import consolidate, dispatch, finish, judge, plan
from swarm.coordinator.desk import Desk
from swarm.events import PhaseChanged
from swarm.task import Answer

_PHASES_IN_ONE_ROUND = 2


class State(TypedDict, total=False):
    """What LangGraph carries between the phases. It tells, and decides nothing: each phase goes by the desk, which
    goes by the journal, so that a checkpoint that is older than the journal leads nowhere else."""

    run: str
    round: int
    go_on: bool
    finished: bool


async def _plan(state: State, runtime: Runtime[Desk]) -> State:
    _enter(runtime.context, "plan")
    await plan.plan(runtime.context)
    return _told(runtime.context)


async def _dispatch(state: State, runtime: Runtime[Desk]) -> State:
    _enter(runtime.context, "dispatch")
    await dispatch.dispatch(runtime.context)
    return _told(runtime.context)


async def _judge(state: State, runtime: Runtime[Desk]) -> State:
    desk = runtime.context
    if desk.task.output != "answer" or desk.stopped is not None:
        return {**_told(desk), "go_on": False}
    _enter(desk, "judge")
    go_on = bool(desk.planned) or await judge.judge(desk)
    return {**_told(desk), "go_on": go_on}


async def _consolidate(state: State, runtime: Runtime[Desk]) -> State:
    desk = runtime.context
    if desk.task.output != "table" and desk.stopped is None:
        _enter(desk, "consolidate")
        await consolidate.consolidate(desk)
    return _told(desk)


async def _finish(state: State, runtime: Runtime[Desk]) -> State:
    desk = runtime.context
    _enter(desk, "finish")
    desk.answer = await finish.finish(desk)
    return {**_told(desk), "finished": True}


def _enter(desk: Desk, phase: str) -> None:
    desk.emit(PhaseChanged(phase=phase))


def _told(desk: Desk) -> State:
    return {"run": desk.run, "round": desk.round}


def _after_judging(state: State) -> str:
    return "dispatch" if state["go_on"] else "consolidate"


@cache
def machine() -> CompiledStateGraph[State, Desk, State, State]:
    """The compiled graph of phases. Without a checkpointer: a parent graph's is inherited."""
    graph = StateGraph(State, context_schema=Desk)
    graph.add_node("plan", _plan)
    graph.add_node("dispatch", _dispatch)
    graph.add_node("judge", _judge)
    graph.add_node("consolidate", _consolidate)
    graph.add_node("finish", _finish)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "dispatch")
    graph.add_edge("dispatch", "judge")
    graph.add_conditional_edges("judge", _after_judging, ["dispatch", "consolidate"])
    graph.add_edge("consolidate", "finish")
    graph.add_edge("finish", END)
    return graph.compile()


async def run(desk: Desk) -> Answer:
    """Run all phases over a desk whose corpus is gathered.

    Raises:
        SwarmError: see each phase.
    """
    steps = 4 + _PHASES_IN_ONE_ROUND * max(1, desk.limits.rounds, desk.round + 1)
    config: Any = {"recursion_limit": steps}
    await machine().ainvoke({}, config, context=desk)
    assert desk.answer is not None
    return desk.answer
