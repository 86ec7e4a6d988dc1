"""One command that runs something: set up, follow, stop when asked to, print what it came to.

stdout gets the answer and nothing else; what a recipe prints goes to stderr where `--json` was asked for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from types import FrameType
from typing import TYPE_CHECKING, Any

from swarm.cli.again import Again
from swarm.cli.options import Settings
from swarm.cli.progress import Display, display
from swarm.cli.sending import sending

if TYPE_CHECKING:
    from swarm.cli.watched import Watched
    from swarm.task import Answer

ANSWERED, FAILED, USAGE, PARTIAL = 0, 1, 2, 3

Open = Callable[[], "Watched"]
Work = Callable[["Watched"], Awaitable["Answer | None"]]


def begin(settings: Settings) -> Open:
    """A swarm for a new run."""

    def make() -> Watched:
        from swarm.cli.watched import Watched

        return Watched(**options_of(settings))

    return make


def go_on(settings: Settings, run: str) -> Open:
    """A swarm as the run `run` last went on, but for what is named anew."""

    def make() -> Watched:
        from swarm.cli.watched import Watched

        named = options_of(settings)
        return Watched.of_run(run, named.pop("store"), **named)

    return make


def options_of(settings: Settings) -> dict[str, Any]:
    """What of the settings a swarm is made with, as far as it was given."""
    names = ("model", "reader", "store", "window", "concurrency", "base_url")
    given = {name: getattr(settings, name) for name in names}
    given |= {"engine": settings.engine} if settings.engine != "local" else {}
    return {name: value for name, value in given.items() if value is not None or name == "store"}


def prepare(settings: Settings) -> None:
    """What holds for the whole process: where the log goes, and whose prices are taken."""
    if settings.prices is not None:
        os.environ["SWARM_PRICES"] = str(settings.prices)
    if settings.log_json:
        from swarm.observe.log import to_stderr

        to_stderr()
    else:
        logging.getLogger().addHandler(logging.NullHandler())  # what libraries warn of is no word to the user


def execute(settings: Settings, make: Open, work: Work, again: Again) -> int:
    """Run `work`, print its answer, and say how it went as an exit code (see `docs/cli.md`)."""
    prepare(settings)
    with sending():
        return _execute(settings, make, work, again)


def _execute(settings: Settings, make: Open, work: Work, again: Again) -> int:
    stdout = sys.stdout
    with redirect_stdout(sys.stderr) if settings.json else nullcontext():
        returned, last, caught = asyncio.run(_follow(settings, make(), work, again))
    if settings.json:
        from swarm.cli.document import document, dumps

        answer = returned or last
        print(dumps(document(answer) if answer else {}), file=stdout)
    elif returned:
        from rich.console import Console

        from swarm.cli.show import show

        resume = again(returned.run_id, returned) if not returned.complete else ""
        show(returned, Console(highlight=False, markup=False, emoji=False), resume=resume)
    if last is None and caught:
        _say("interrupted before anything was run")
        return 128 + caught
    if last is None or last.complete:
        return ANSWERED
    if not returned or settings.json:
        _say(f"partial ({last.stopped or 'slices failed'}); go on with: {again(last.run_id, last)}")
    return 128 + caught if caught else PARTIAL


async def _follow(
    settings: Settings, swarm: Watched, work: Work, again: Again
) -> tuple[Answer | None, Answer | None, int]:
    """What `work` returned, what its last run came to, and the signal that ended it early, or 0."""
    with display(quiet=settings.quiet) as shown:
        swarm.watch(shown, settings)
        with _signals(swarm, shown, again) as caught:
            try:
                returned = await work(swarm)
            except asyncio.CancelledError:
                if swarm.called or not caught:
                    raise
                returned = None
    return returned, swarm.answer, caught[0] if caught else 0


@contextmanager
def _signals(swarm: Watched, shown: Display, again: Again) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM: once to finish what is in flight, twice to leave at once. A recipe that has run nothing
    yet is ended."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    caught: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if caught:
            _leave(number, again(swarm.run_id, None) if swarm.run_id else None)
        caught.append(number)
        if not swarm.called:
            loop.call_soon_threadsafe(task.cancel)
            return
        loop.call_soon_threadsafe(swarm.stop)
        loop.call_soon_threadsafe(shown.note, "stopping: calls in flight finish; Ctrl-C again leaves at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, again: str | None) -> None:
    """Leave without waiting for anything: the journal was written before each step, so nothing is lost."""
    show_cursor = "\x1b[?25h\n" if sys.stderr.isatty() else ""
    _say(f"left at once; go on with: {again}" if again else "left at once", before=show_cursor)
    os._exit(128 + number)


def _say(text: str, before: str = "") -> None:
    sys.stderr.write(f"{before}swarm: {text}\n")
    sys.stderr.flush()
