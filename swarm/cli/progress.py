"""What a person sees while a run goes on, on stderr: a live display, plain lines now and then, or nothing.

`Tally` folds the events of a run into a few numbers; the displays draw them. This module knows events and the
terminal; it does not know who sends the events.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from swarm import events
from swarm.cli.plain import dollars, number, one_line, plural, seconds
from swarm.task import Usage

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live as RichLive

Clock = Callable[[], float]

_LINE_EVERY_SECONDS = 10.0
_WORDS = {
    "gather": "reading files",
    "plan": "planning",
    "dispatch": "reading",
    "work": "working",
    "judge": "judging",
    "consolidate": "condensing",
    "finish": "answering",
}


@dataclass(slots=True)
class Tally:
    """A run in numbers. Slices are ready, running, done or failed; `total` counts all of them. `before` were done
    before the run went on."""

    clock: Clock = time.monotonic
    phase: str = ""
    sources: int = 0
    chars: int = 0
    total: int = 0
    done: int = 0
    before: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)
    paused: bool = False
    started: float = 0.0
    running: set[str] = field(default_factory=set)
    dispatched: float | None = None

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def ready(self) -> int:
        return max(0, self.total - self.done - self.failed - len(self.running))

    @property
    def elapsed(self) -> float:
        return self.clock() - self.started

    @property
    def seconds_left(self) -> float | None:
        """Judged by the pace of the slices so far; None before there is a pace."""
        fresh = self.done + self.failed - self.before
        left = self.ready + len(self.running)
        if self.dispatched is None or fresh < 3 or left == 0:
            return None
        return (self.clock() - self.dispatched) / fresh * left

    def tell(self, event: events.Event) -> None:
        match event:
            case events.PhaseChanged(phase=phase):
                self.phase = phase
            case events.SourceRead(chars=chars):
                self.sources += 1
                self.chars += chars
            case events.CorpusReady(corpus=corpus):
                self.sources, self.chars = len(corpus.sources), corpus.chars
            case events.Resumed(done=done, slices=slices):
                self.total, self.done, self.before = slices, done, done
            case events.Spent(usage=usage):
                self.usage = usage
            case events.Paused() | events.WentOn():
                self.paused = isinstance(event, events.Paused)
            case _:
                self._tell_of_slices(event)

    def _tell_of_slices(self, event: events.Event) -> None:
        match event:
            case events.SlicesPlanned(slices=slices):
                self.total += slices
            case events.SliceStarted(slice=slice):
                self.running.add(slice.id)
                self.dispatched = self.clock() if self.dispatched is None else self.dispatched
            case events.SliceFinished(slice=slice):
                self.running.discard(slice.id)
                self.done += 1
            case events.SliceSplit(slice=slice, into=into):
                # one that is read closer is done, and its halves come to it
                self.total += into - 1 if slice.id in self.running else into
                self.running.discard(slice.id)
            case events.SliceFailed(slice=slice) | events.SliceDropped(slice=slice):
                self.running.discard(slice.id)
                self.failed += 1
            case _:
                pass


class Display(Protocol):
    """Follows one run. `tell` gets each event, `note` a line that is to stay readable; `paused`, it leaves the
    terminal alone."""

    def __enter__(self) -> Display: ...
    def __exit__(self, *exception: object) -> None: ...
    def tell(self, event: events.Event) -> None: ...
    def note(self, text: str) -> None: ...
    def paused(self) -> AbstractContextManager[None]: ...


class Silent:
    """Nothing but notes."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def tell(self, event: events.Event) -> None:
        pass

    def note(self, text: str) -> None:
        print(f"swarm: {text}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is this module's job

    def paused(self) -> AbstractContextManager[None]:
        return nullcontext()


class Lines(Silent):
    """For a file, a pipe, a log: a line every ten seconds, and one for each slice that failed."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.tally = Tally(clock=clock)
        self._last = clock()

    def tell(self, event: events.Event) -> None:
        tally = self.tally
        tally.tell(event)
        if text := noted(event):
            self.note(text)
        if tally.clock() - self._last >= _LINE_EVERY_SECONDS:
            self._last = tally.clock()
            self.note(" · ".join([doing(tally), *progress(tally), *costs(tally)]))


class Live:
    """For a terminal: two lines that stay in place and are gone at the end."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        from rich.spinner import Spinner

        self.tally = Tally(clock=clock)
        self._console = console
        self._spinner = Spinner("dots", style="cyan")
        self._live = self._lines()

    def _lines(self) -> RichLive:
        from rich.live import Live as RichLive

        return RichLive(console=self._console, get_renderable=self._render, transient=True, refresh_per_second=10)

    def __enter__(self) -> Live:
        self._restore = _keep_output()
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()
        self._restore()

    def tell(self, event: events.Event) -> None:
        self.tally.tell(event)
        if text := noted(event):
            self.note(text)

    def note(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(f"swarm: {text}"), soft_wrap=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live = self._lines()  # the old one would wipe away what was written meanwhile
            self._live.start(refresh=True)

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.padding import Padding
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        tally = self.tally
        over = tally.done + tally.failed
        top = Table.grid(padding=(0, 1))
        top.add_row(
            self._spinner,
            Text(f"{doing(tally) or 'starting':<13}", style="bold"),
            ProgressBar(total=max(tally.total, 1), completed=over, width=max(10, self._console.width // 3)),
            Text(" · ".join(progress(tally)[:1]), style="dim", no_wrap=True),
        )
        below = Text(" · ".join([*waiting(tally), *costs(tally)]), style="dim", no_wrap=True, overflow="ellipsis")
        # not expanded: after a line that fills the width, an echoed ^C would begin another
        return Group(top, Padding(below, (0, 0, 0, 2), expand=False))


def _keep_output() -> Callable[[], None]:
    """Tell the terminal not to throw away on Ctrl-C what was just written: half a frame would be left standing.
    Returns what undoes it."""
    try:
        import termios
    except ImportError:
        return lambda: None
    try:
        before = termios.tcgetattr(sys.stderr)
        termios.tcsetattr(sys.stderr, termios.TCSANOW, [*before[:3], before[3] | termios.NOFLSH, *before[4:]])
    except (OSError, ValueError, termios.error):
        return lambda: None
    return lambda: termios.tcsetattr(sys.stderr, termios.TCSANOW, before)


def noted(event: events.Event) -> str:
    """What is worth a line that stays; empty for most."""
    match event:
        case events.SliceFailed(reason=reason):
            return f"a slice failed: {one_line(reason, 120)}"
        case events.SliceDropped(reason=reason):
            return f"a slice was left alone: {one_line(reason, 120)}"
        case events.Paused():
            return "paused: calls in flight finish, and nothing new is begun"
        case events.WentOn():
            return "going on"
        case events.Unserved(reason=reason) if reason:
            return f"no worker can work this run: {one_line(reason, 200)}"
        case events.Unserved(slices=slices):
            return f"nobody has begun any of {plural(slices, 'slice')}: start `swarm worker` on this store"
        case events.Steered():
            return "an instruction came: what begins from now on goes by it"
    return ""


def doing(tally: Tally) -> str:
    """What is under way, in a word."""
    return "paused" if tally.paused else _WORDS.get(tally.phase, tally.phase)


def progress(tally: Tally) -> list[str]:
    """How far it is: sources while they are read in, then slices."""
    if tally.total:
        return [f"{tally.done:,} of {plural(tally.total, 'slice')} done", *waiting(tally)]
    return [f"{plural(tally.sources, 'source')}, {number(tally.chars)} characters"] if tally.sources else []


def waiting(tally: Tally) -> list[str]:
    """The slices that are not done."""
    numbers = {"ready": tally.ready, "running": len(tally.running), "failed": tally.failed}
    return [f"{count:,} {word}" for word, count in numbers.items() if count]


def costs(tally: Tally) -> list[str]:
    """What was spent, and how long it will take, or where there is no telling, has taken."""
    usage, left = tally.usage, tally.seconds_left
    spent = [f"{number(usage.tokens)} tokens", dollars(usage.cost_usd)] if usage.calls else []
    return [*spent, seconds(tally.elapsed) if left is None else f"about {seconds(max(left, 1))} left"]


def display(*, quiet: bool) -> Display:
    """The display that fits where stderr goes."""
    if quiet:
        return Silent()
    if not sys.stderr.isatty():
        return Lines()
    from rich.console import Console

    return Live(Console(stderr=True, highlight=False, markup=False, emoji=False))
