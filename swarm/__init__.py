"""Swarm: working memory for tasks larger than any context window.

In reading order, as data flows from a task to its answer; a module imports only from those above it:

    errors  source  orders  task      the words of the project, and text counted as tokens and as terms
    display  cards                    how they show themselves in a notebook
    equipment  program  events  issues  reviewing
    tokens  terms  names  claims
    prompts/                          what a model is asked, and the shape of what it answers
    models/                           what answers: extractive, anthropic, openai, langchain, scripted, fallback
    store/                            the journal of runs, in a file or in PostgreSQL; the library of what was read
    index/                            finding texts: full text, vectors, servers of others behind one interface
    sources/                          from paths to text with offsets, and from text to slices
    graph/                            the shared graph: what was found, merged, compared and summarised
    agenda/                           a plan on its way: what may enter it, what is ready
    observe/                          where the program is at, for logs, traces and metrics
    checks                            checks that are programs: a command, a metric
    workspace/                        a place to work in: files, commands, worktrees, and how work lands
    tools/                            what a sub-agent may do: functions, LangChain, MCP, and what comes with Swarm
    experiments/                      what is tried on one file, what it measures, what is kept
    features                          a list of testable features in a repository, and who writes in it
    reports/                          a report written from findings, each sentence held against them
    limits/                           what a run may spend; the one gate that every call passes
    views/                            what one agent is shown of the graph
    engine/                           where slices execute
    worker/                           one sub-agent: a fresh window in, a report out
    coordinator/                      plan, dispatch, judge, consolidate, finish: a LangGraph graph of phases
    mounted                           a swarm as a graph of LangGraph: what stands behind each invocation
    run  sync  knowledge              the facades: run, wait for it, look into it,
    playback  history                 run again from the journal, list and forget
    steer                             a word to a run that is at work in another process
    remote/                           a machine that works slices of runs which are coordinated elsewhere
    recipe                            scripts that shape a task
    memory/                           the memory of a conversation: messages, facts, blocks, and views of them
    embed/                            Swarm as tools of an agent that is there already: SDKs, LangChain, MCP
    inspect/                          looking into a run: what it does, knows and costs, and why
    testing                           what users test with
    serve/                            an endpoint in the providers' formats whose context has no end
    cli/                              the command line
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from swarm.recipe import recipe  # at once: left for later, the module of that name would take its place

if TYPE_CHECKING:
    from swarm.equipment import Bounds, Tool, ToolFailed, Workspace
    from swarm.errors import RecipeError, SwarmError
    from swarm.events import Event
    from swarm.knowledge import Knowledge, open_knowledge
    from swarm.memory.memory import Memory, open_memory
    from swarm.orders import Order
    from swarm.playback import replay
    from swarm.program import Checkout, Done, Piece, Place, Program, Role, Ruling, Vote
    from swarm.reviewing import reviewed
    from swarm.run import Swarm
    from swarm.source import Corpus, Source, Span
    from swarm.sources.inside import inside
    from swarm.sync import run_sync
    from swarm.task import Answer, Cell, Citation, Estimate, Finding, Limits, Report, Slice, Task
    from swarm.tools.function import tool

_HOMES = {
    "Answer": "task",
    "Bounds": "equipment",
    "Cell": "task",
    "Checkout": "program",
    "Citation": "task",
    "Corpus": "source",
    "Done": "program",
    "Estimate": "task",
    "Event": "events",
    "Finding": "task",
    "Knowledge": "knowledge",
    "Limits": "task",
    "Memory": "memory.memory",
    "Order": "orders",
    "Piece": "program",
    "Place": "program",
    "Program": "program",
    "RecipeError": "errors",
    "Report": "task",
    "Role": "program",
    "Ruling": "program",
    "Slice": "task",
    "Source": "source",
    "Span": "source",
    "Swarm": "run",
    "SwarmError": "errors",
    "Task": "task",
    "Tool": "equipment",
    "ToolFailed": "equipment",
    "Vote": "program",
    "Workspace": "equipment",
    "inside": "sources.inside",
    "open_knowledge": "knowledge",
    "open_memory": "memory.memory",
    "replay": "playback",
    "reviewed": "reviewing",
    "run_sync": "sync",
    "tool": "tools.function",
}

__all__ = [
    "Answer",
    "Bounds",
    "Cell",
    "Checkout",
    "Citation",
    "Corpus",
    "Done",
    "Estimate",
    "Event",
    "Finding",
    "Knowledge",
    "Limits",
    "Memory",
    "Order",
    "Piece",
    "Place",
    "Program",
    "RecipeError",
    "Report",
    "Role",
    "Ruling",
    "Slice",
    "Source",
    "Span",
    "Swarm",
    "SwarmError",
    "Task",
    "Tool",
    "ToolFailed",
    "Vote",
    "Workspace",
    "inside",
    "open_knowledge",
    "open_memory",
    "recipe",
    "replay",
    "reviewed",
    "run_sync",
    "tool",
]


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are first used: importing `swarm` costs next to nothing."""
    if name in _HOMES:
        return getattr(import_module(f"swarm.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'swarm' has no attribute {name!r}")
