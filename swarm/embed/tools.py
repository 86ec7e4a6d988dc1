"""Long tasks as tools of an agent that has never heard of Swarm: to start one, follow it, ask it, and check it.

    async with Jobs(roots=["reports/"]) as jobs:
        for tool in job_tools(jobs):
            print(tool.name, tool.parameters)

A docstring is what a model reads. Results are JSON, bounded, with all text from sources marked as data; a mistake
is told in one line. This module words; what is allowed and done is the business of `Jobs`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextvars import ContextVar
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from pydantic import Field

from swarm.embed import words
from swarm.embed.allowed import Asked
from swarm.embed.jobs import Jobs, Progress
from swarm.embed.lookup import LEAST_TOKENS, MOST_TOKENS
from swarm.equipment import Tool, ToolFailed
from swarm.errors import SwarmError, UsageError
from swarm.tools.function import tool

P = ParamSpec("P")
T = TypeVar("T")

PROGRESS: ContextVar[Progress | None] = ContextVar("PROGRESS", default=None)
"""Whoever calls a tool that waits may be told of progress meanwhile."""

READING = ("task_status", "wait_task", "ask_graph", "open_citation", "list_tasks")
"""The tools that change nothing."""
_MOST_SECONDS = 3_600.0

Run = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(min_length=1, max_length=4_000)]
Seconds = Annotated[float, Field(ge=0, le=_MOST_SECONDS)]
Amount = Annotated[float, Field(ge=0)]
Told = dict[str, Any]


def job_tools(jobs: Jobs, *, only: Collection[str] = ()) -> tuple[Tool, ...]:
    """The tools over tasks that are at work in this process; with `only`, those of these names.

    Raises:
        UsageError: `only` names one that there is not.
    """
    box = Toolbox(jobs)
    made = tuple(tool(function, changes=name not in READING) for name, function in box.functions.items())
    if unknown := [name for name in only if name not in box.functions]:
        raise UsageError(f"there is no tool {unknown[0]!r:.100}: there are {', '.join(box.functions)}")
    return tuple(one for one in made if not only or one.name in only)


class Toolbox:
    """The functions behind the tools. Each returns plain values, and raises ToolFailed with one line."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    @property
    def functions(self) -> dict[str, Callable[..., Awaitable[Told]]]:
        found: tuple[Callable[..., Awaitable[Told]], ...] = (
            self.start_task,
            self.task_status,
            self.wait_task,
            self.ask_graph,
            self.open_citation,
            self.steer_task,
            self.pause_task,
            self.resume_task,
            self.stop_task,
            self.list_tasks,
        )
        return {function.__name__: function for function in found}

    async def start_task(
        self,
        question: Annotated[str, Field(max_length=20_000)],
        paths: list[str] = [],  # noqa: B006 - never changed, and what a model is shown
        output: Asked = "answer",
        each: Literal["source", "record"] = "source",
        words_wanted: Annotated[int, Field(ge=1, le=20_000)] | None = None,
        done_when: str = "",
        max_cost_usd: Amount | None = None,
        max_tokens: Annotated[int, Field(ge=0)] | None = None,
        max_seconds: Amount | None = None,
        wait_seconds: Seconds = 0,
    ) -> Told:
        """Start a long task: have a group of sub-agents read more text than fits any context window, and answer
        from it with exact, checkable citations.

        Use it for folders, books, logs, code bases and document collections that are too long to read yourself.
        It runs in the background and returns its id as `run`; follow it with wait_task or task_status. Nothing is
        changed on disk: files are read.

        Args:
            question: what you want to know, in full. For a table: one question a line, asked of every item. For a
                digest or a graph it may be empty: all that matters is taken
            paths: files, folders or patterns such as logs/**/*.txt, below the allowed folders, which . stands for
            output: answer (a text with citations), digest (a summary of the whole), table (every item by every
                question), graph (facts only, to be asked with ask_graph), work (work towards a goal by a plan;
                only where that is allowed)
            each: for a table, what an item is: a whole source, or each record in it
            words_wanted: for a digest, about how long it should be
            done_when: for work, how anyone can tell that it is done
            max_cost_usd: stop before more dollars are spent; may only be less than what is allowed
            max_tokens: stop before more tokens are used; likewise
            max_seconds: stop after so many seconds; likewise
            wait_seconds: wait so long for it to end; 0 returns at once
        """
        said = {"cost_usd": max_cost_usd, "tokens": max_tokens, "wall_seconds": max_seconds}
        limits = {name: value for name, value in said.items() if value is not None}
        run = await _asked(
            self._jobs.start,
            question,
            paths,
            output=output,
            by=each,
            words=words_wanted,
            done_when=done_when,
            limits=limits or None,
        )
        return await self._waited(run, wait_seconds)

    async def task_status(self, run: Run) -> Told:
        """How a task stands: its phase, slices done of those planned, findings so far, what was spent, and its
        answer with citations when it is over.

        Args:
            run: the id of the task, the beginning of it, or last
        """
        return words.status_told(await _asked(self._jobs.status, run))

    async def wait_task(self, run: Run, seconds: Seconds = 60) -> Told:
        """Wait until a task is over, and return its status with the answer; after `seconds` return how it stands
        by then. The task goes on whether anyone waits or not.

        Args:
            run: the id of the task, the beginning of it, or last
            seconds: how long to wait at the most
        """
        return await self._waited(run, seconds)

    async def ask_graph(
        self,
        run: Run,
        question: Text,
        tokens: Annotated[int, Field(ge=LEAST_TOKENS, le=MOST_TOKENS)] = 2_000,
    ) -> Told:
        """Ask what a task has found out: claims that bear on your question, with quotations and where they stand,
        contradictions and summaries. Free, instant, and possible while the task is still at work.

        Args:
            run: the id of the task, the beginning of it, or last
            question: what you want to know, as a question or in the words that a claim would use
            tokens: how long the result may be
        """
        return words.seen(await _asked(self._jobs.ask, run, question, tokens))

    async def open_citation(self, run: Run, id: Annotated[str, Field(min_length=1, max_length=200)]) -> Told:  # noqa: A002
        """Check what a claim rests on: the exact quotation, the file, line or page where it stands, and the text
        around it.

        Args:
            run: the id of the task, the beginning of it, or last
            id: the number of a citation in the answer, such as 3 or [3], or the id of a finding or another node as
                ask_graph shows it
        """
        return words.opened(await _asked(self._jobs.open, run, id))

    async def steer_task(self, run: Run, instruction: Text) -> Told:
        """Give a task that is at work a further instruction; it holds for all that begins from now on.

        Args:
            run: the id of the task, the beginning of it, or last
            instruction: what is to be done otherwise, in a sentence or two
        """
        return words.status_told(await _asked(self._jobs.steer, run, instruction))

    async def pause_task(self, run: Run) -> Told:
        """Pause a task that is at work: nothing new is begun, and nothing more is spent, until resume_task.

        Args:
            run: the id of the task, the beginning of it, or last
        """
        return words.status_told(await _asked(self._jobs.pause, run))

    async def resume_task(self, run: Run, max_cost_usd: Amount | None = None, wait_seconds: Seconds = 0) -> Told:
        """Let a task go on that was paused, stopped, interrupted, failed, or came to a limit. What it has done is
        kept, and not paid for again.

        Args:
            run: the id of the task, the beginning of it, or last
            max_cost_usd: what it may spend in all from now on, what it has spent included; at most what is allowed
            wait_seconds: wait so long for it to end; 0 returns at once
        """
        status = await _asked(self._jobs.status, run)
        if status.status == "paused":
            await _asked(self._jobs.go_on, status.run)
        else:
            limits = None if max_cost_usd is None else {"cost_usd": max_cost_usd}
            await _asked(self._jobs.resume, status.run, limits)
        return await self._waited(status.run, wait_seconds)

    async def stop_task(self, run: Run) -> Told:
        """End a task early, with what it has found so far. resume_task can let it go on later.

        Args:
            run: the id of the task, the beginning of it, or last
        """
        status = await _asked(self._jobs.stop, run)
        return await self._waited(status.run, 5)

    async def list_tasks(self, limit: Annotated[int, Field(ge=1, le=100)] = 10) -> Told:
        """List the tasks that there are, the latest first: what they were asked and how they stand.

        Args:
            limit: how many at the most
        """
        return words.listed(await _asked(self._jobs.runs, limit))

    async def _waited(self, run: str, seconds: float) -> Told:
        if not seconds:
            return words.status_told(await _asked(self._jobs.status, run))
        return words.status_told(await _asked(self._jobs.wait, run, seconds, PROGRESS.get()))


async def _asked(ask: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await ask(*args, **kwargs)
    except SwarmError as error:
        raise ToolFailed(str(error)) from None
