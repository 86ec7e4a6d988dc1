"""The screen of `swarm watch`: panels over a run that goes on, and keys that ask something of it.

The run is read on a thread, at most twice a second and less often while nothing happens; what comes of it is drawn
here. All panels stand side by side where the terminal is large enough, else there is one at a time. This module
decides when is looked and what is shown; it knows neither the store nor what a panel says.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ClassVar, TypeVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from swarm.cli.plain import one_line
from swarm.cli.watching import draw
from swarm.cli.watching.argued import Argued
from swarm.cli.watching.asked import Asked, ask
from swarm.cli.watching.detail import detail
from swarm.cli.watching.draw import Item
from swarm.cli.watching.frame import Frame
from swarm.cli.watching.ink import Line, fit, width_of
from swarm.cli.watching.look import Look
from swarm.cli.watching.panel import Lines, Panel
from swarm.cli.watching.screens import HELP, Question, Text, Words
from swarm.cli.watching.told import PANELS
from swarm.cli.watching.tree import Wish
from swarm.errors import SwarmError
from swarm.observe.log import redact_text
from swarm.store.mailbox import What

T = TypeVar("T")

SOONEST_SECONDS = 0.5
"""Between two looks at a run to which something happens."""
_IDLE_SECONDS, _OVER_SECONDS = 2.0, 10.0  # the longest, of a run that is live, and of one that nobody is at
_SHARE = 25  # times what was spent since the last look, until the next: a twenty-fifth of a core
_WIDE, _TALL = 120, 34  # cells, from which on all panels are shown
_LEFT = ("plan", "failures", "instructions")
_TITLES = tuple(title for _, title, _ in PANELS)


def wait_seconds(before: float, spent: float, *, changed: bool, live: bool) -> float:
    """How long to wait until the next look: `before` is the last wait, and `spent` what this process has had of a
    processor since, for reading and drawing."""
    least = max(SOONEST_SECONDS, _SHARE * spent)
    if changed:
        return min(least, _IDLE_SECONDS)
    return min(max(least, before * 1.5), _IDLE_SECONDS if live else _OVER_SECONDS)


class Main(Screen[None]):
    """The panels over one run."""

    DEFAULT_CSS = """
    Main { layout: vertical; }
    Main #head, Main #tabs, Main #said { padding: 0 1; }
    Main #panels { height: 1fr; }
    Main #left { width: 1fr; }
    Main #right { width: 1fr; }
    Main Panel { height: 1fr; }
    Main.all #left { width: 11fr; }
    Main.all #right { width: 9fr; }
    Main.all #tabs { display: none; }
    Main.all #failures { height: auto; min-height: 3; max-height: 25%; }
    Main.all #instructions { height: auto; min-height: 3; max-height: 6; }
    Main.all #spent { height: auto; }
    Main.all #places { height: auto; min-height: 3; max-height: 30%; }
    Main.all #findings { height: 3fr; }
    Main.all #disputes { height: 2fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause/go on"),
        Binding("s", "steer", "Steer"),
        Binding("x", "stop", "Stop"),
        Binding("c", "cancel", "Cancel slice"),
        Binding("question_mark", "keys", "Help", key_display="?"),
        Binding("q", "app.quit", "Quit"),
        Binding("tab", "turn(1)", show=False),
        Binding("shift+tab", "turn(-1)", show=False),
        *(Binding(str(number), f"panel({number - 1})", show=False) for number in range(1, len(PANELS) + 1)),
    ]

    def __init__(self, look: Look, argued: Argued) -> None:
        super().__init__()
        self.look, self.argued = look, argued
        self.frame: Frame | None = None
        self.wish = Wish()
        self.shown = 0
        """The panel that is shown where there is room for one, by its number."""
        self.looks = 0
        self._head, self._tabs = Lines("head", [(("reading …", "dim"),)]), Lines("tabs")
        self._said = Lines("said")
        self.panels = {
            name: Panel(name, f"{number} {title}", drawn) for number, (name, title, drawn) in enumerate(PANELS, 1)
        }
        self._wake = asyncio.Event()
        self._reading = asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._tabs
        with Horizontal(id="panels"):
            with Vertical(id="left"):
                yield from (panel for name, panel in self.panels.items() if name in _LEFT)
            with Vertical(id="right"):
                yield from (panel for name, panel in self.panels.items() if name not in _LEFT)
        yield self._said
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._arrange()
        self.panels["plan"].focus()
        self.run_worker(self._follow(), group="follow")
        self.run_worker(self._argue(), group="argue")

    # Looking

    async def _follow(self) -> None:
        wait, version, before = SOONEST_SECONDS, -1, time.process_time()
        while True:
            try:
                async with self._reading:
                    frame = await asyncio.to_thread(self.look.next, self.wish)
            except SwarmError as error:
                self.say(Asked(said=f"{_said(error)}; this is how it stood then", failed=True))
                return
            self.looks += 1
            self.show(frame)
            live = frame.head.status in ("running", "paused")
            spent = time.process_time() - before
            wait = wait_seconds(wait, spent, changed=frame.version != version, live=live)
            version, before = frame.version, before + spent
            if not frame.head.behind:
                await self._until_woken(wait)

    async def _until_woken(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        self._wake.clear()

    async def _argue(self) -> None:
        """Look for contradictions now and then, on a thread that nobody waits for at the end."""
        while True:
            frame = self.frame
            if frame is not None and not frame.head.behind and self.argued.due(frame.version):
                try:
                    self.look.disputes = await _aside(partial(self.argued.look, frame.version))
                except SwarmError as error:
                    self.say(Asked(said=_said(error), failed=True))
                    return
                self._wake.set()
            await asyncio.sleep(SOONEST_SECONDS)

    def show(self, frame: Frame) -> None:
        """Show this frame from now on."""
        self.frame = frame
        if isinstance(self.app, Watch):
            self.app.frame = frame
        head = draw.head(frame, max(1, self.size.width - 2))
        self._head.show(head[: max(1, (self.size.height - 4) // 3)])
        self._tabs.show([self._all_tabs(frame)])
        for panel in self.panels.values():
            panel.show(frame)
        failures = self.panels["failures"]
        failures.border_title = f"{failures.title} ({frame.failed:,})" if frame.failed else failures.title

    def _all_tabs(self, frame: Frame) -> Line:
        """The panels by their numbers, the one that is shown marked; where there is room for one, all names."""
        width = max(1, self.size.width - 2)
        counts = {"failures": frame.failed, "instructions": len(frame.instructions)}
        tabs: list[tuple[str, str]] = []
        for number, (name, title, _) in enumerate(PANELS):
            count = f" {counts[name]:,}" if counts.get(name) else ""
            text = f"{number + 1} {title}{count}"
            tabs.append((f"[{text}]" if number == self.shown else f" {text} ", "title" if number == self.shown else
                         "warn" if name == "failures" and count else "dim"))  # fmt: skip
        if width_of(tuple(tabs)) <= width:
            return tuple(tabs)
        here = f"‹ {self.shown + 1} of {len(PANELS)}: {_TITLES[self.shown]} ›"
        return fit(((here, "title"), ("  Tab for the next", "dim")), width)

    # Room

    def on_resize(self, _: events.Resize) -> None:
        self._arrange()
        if self.frame is not None:
            self.show(self.frame)

    def _arrange(self) -> None:
        """All panels side by side, or the one that is chosen."""
        everything = self.size.width >= _WIDE and self.size.height >= _TALL
        self.set_class(everything, "all")
        chosen = PANELS[self.shown][0]
        for name, panel in self.panels.items():
            panel.display = everything or name == chosen
        self.query_one("#left").display = everything or chosen in _LEFT
        self.query_one("#right").display = everything or chosen not in _LEFT

    def action_panel(self, number: int) -> None:
        self.shown = number
        self._arrange()
        self.panels[PANELS[number][0]].focus()
        if self.frame is not None:
            self.show(self.frame)

    def action_turn(self, by: int) -> None:
        at = next((n for n, panel in enumerate(self.panels.values()) if panel.has_focus), self.shown)
        self.action_panel((at + by) % len(PANELS))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A panel that was clicked on is the chosen one as well."""
        names = list(self.panels)
        if event.widget.id in names:
            self.shown = names.index(event.widget.id)

    # Choosing

    async def on_panel_chosen(self, event: Panel.Chosen) -> None:
        item = event.item
        if item.more and item.branch is not None:
            self.wish = self.wish.with_more(item.branch)
            self._wake.set()
        elif item.branch is not None:
            self.wish = self.wish.turn(item.branch, item.is_open)
            self._wake.set()
        elif item.slice:
            self.run_worker(self._open(item.slice), group="open", exclusive=True)

    async def _open(self, slice_: str) -> None:
        width = max(20, min(134, self.size.width * 92 // 100 - 6))
        look = self.look
        try:
            async with self._reading:
                lines = await asyncio.to_thread(detail, look.followed, look.names, slice_, width)
        except SwarmError as error:
            self.say(Asked(said=_said(error), failed=True))
            return
        self.app.push_screen(Text("A slice", lines))

    def action_keys(self) -> None:
        self.app.push_screen(Text("Help", HELP))

    # Asking

    def action_pause(self) -> None:
        self._ask("pause")

    def action_steer(self) -> None:
        self.app.push_screen(Words(), lambda text: self._ask("steer", text=text) if text else None)

    def action_stop(self) -> None:
        asked = ("Stop this run?", "Calls in flight finish, and it ends with the best answer so far.")
        self.app.push_screen(Question(asked), lambda yes: self._ask("stop") if yes else None)

    def action_cancel(self) -> None:
        item = self._chosen()
        if item is None:
            self.say(
                Asked(said="choose a slice first, with the arrow keys: c cancels the chosen one", failed=True)
            )
            return
        name = "".join(text for text, _ in item.line).strip()
        asked = ("Cancel this slice alone?", one_line(name, 66), "A call that is in flight for it is broken off.")
        cancel = partial(self._ask, "cancel", slice_=item.slice)
        self.app.push_screen(Question(asked), lambda yes: cancel() if yes else None)

    def _chosen(self) -> Item | None:
        """The item with a slice that is under the cursor of the panel that has the focus."""
        panel = self.focused
        item = panel.chosen if isinstance(panel, Panel) else None
        return item if item is not None and item.slice else None

    def _ask(self, what: What, *, text: str = "", slice_: str = "") -> None:
        self.say(Asked(said=f"asking the run: {what.replace('_', ' ')} …"))
        opened = self.look.followed.opened
        asking = partial(ask, opened.run, what, opened.where, text=text, slice_=slice_)
        self.run_worker(self._asking(asking), group="ask")

    async def _asking(self, asking: Callable[[], Asked]) -> None:
        self.say(await asyncio.to_thread(asking))
        self._wake.set()

    def say(self, asked: Asked) -> None:
        """Tell what came of something, on the line above the keys."""
        self.said = asked.said
        part = "failed" if asked.failed else "strong"
        self._said.show([((("✗ " if asked.failed else "• ") + asked.said, part),)])

    said = ""
    """What was told last."""


class Watch(App[None]):
    """Over one run, which is opened and closed by the caller."""

    TITLE = "swarm watch"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(self, look: Look, argued: Argued) -> None:
        super().__init__()
        self.look, self.argued = look, argued
        self.frame: Frame | None = None
        """What was shown last."""

    def get_default_screen(self) -> Main:
        return Main(self.look, self.argued)

    @property
    def main(self) -> Main:
        screen = self.screen_stack[0]
        assert isinstance(screen, Main)
        return screen


async def _aside(work: Callable[[], T]) -> T:
    """What comes of work on a thread of its own, which ends with the process, however long it would take."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the screen is gone
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="swarm-watch", daemon=True).start()
    return await done


def _said(error: SwarmError) -> str:
    return one_line(redact_text(str(error)), 400)


def run(look: Look, argued: Argued) -> Frame | None:
    """Watch until the person leaves; what was shown last."""
    app = Watch(look, argued)
    app.run()
    return app.frame


__all__ = ["Main", "Watch", "run", "wait_seconds"]
