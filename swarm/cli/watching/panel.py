"""Lines on a textual screen: at rest, and in a panel with a cursor that stays on what it stands for while the
lines around it come and go.

Text reaches the screen as segments, one by one: nothing in it is read as markup. What the lines say is the
business of `draw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from swarm.cli.watching.draw import Draw, Item
from swarm.cli.watching.frame import Frame
from swarm.cli.watching.ink import Line, fit, width_of

PARTS = (
    "dim", "strong", "title", "bar", "track", "warn", "ready", "running", "done", "failed", "dropped", "split",
)  # fmt: skip
_CLASSES = {"ink--plain", *(f"ink--{part}" for part in PARTS)}
_STYLES = """
    & > .ink--dim, & > .ink--ready, & > .ink--split { color: $foreground 60%; }
    & > .ink--strong { text-style: bold; }
    & > .ink--title { color: $text-accent; text-style: bold; }
    & > .ink--bar, & > .ink--running { color: $text-primary; }
    & > .ink--track { color: $foreground 25%; }
    & > .ink--done { color: $text-success; }
    & > .ink--warn { color: $text-warning; text-style: bold; }
    & > .ink--failed { color: $text-error; text-style: bold; }
    & > .ink--dropped { color: $text-warning; }
"""


def strip(widget: Widget, line: Line, width: int, over: Style | None = None) -> Strip:
    """A line as it is put on the screen, in the widget's colours."""
    kept = fit(line, width)
    cut = (*(piece for piece in kept if piece[0]), (" " * (width - width_of(kept)), ""))
    styles = [widget.get_component_rich_style(f"ink--{part or 'plain'}") for _, part in cut]
    return Strip(
        [Segment(text, style + over if over else style) for (text, _), style in zip(cut, styles, strict=True)],
        width,
    )


class Lines(Widget):
    """Lines at rest, one below the other; what does not fit is not shown."""

    COMPONENT_CLASSES = _CLASSES
    DEFAULT_CSS = f"Lines {{ {_STYLES} }}"

    def __init__(self, id_: str = "", lines: Sequence[Line] = ()) -> None:
        super().__init__(id=id_ or None)
        self.lines: tuple[Line, ...] = ()
        self.styles.height = 1
        self.show(lines)

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines from now on."""
        if tuple(lines) != self.lines:
            self.lines = tuple(lines)
            self.styles.height = max(1, len(lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return strip(self, self.lines[y] if y < len(self.lines) else (), self.size.width)


class Panel(ScrollView, can_focus=True):
    """Items, with a cursor where it has the focus."""

    COMPONENT_CLASSES = _CLASSES | {"panel--cursor"}
    DEFAULT_CSS = f"""
    Panel {{
        border: round $foreground 30%; border-title-color: $foreground 70%; padding: 0 0 0 1;
        overflow-x: hidden; scrollbar-size: 0 1; scrollbar-gutter: stable;
        &:focus {{ border: round $border; border-title-color: $text-accent; border-title-style: bold; }}
        & > .panel--cursor {{ background: $primary-muted; text-style: bold; }}
        {_STYLES}
    }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("left", "turn(True)", show=False),
        Binding("right", "turn(False)", show=False),
        Binding("enter", "choose", "Open"),
    ]

    class Chosen(Message):
        """Somebody wants to see more of an item: what a slice is, what a branch holds, or what was left out."""

        def __init__(self, item: Item) -> None:
            super().__init__()
            self.item = item

    def __init__(self, name: str, title: str, drawn: Draw) -> None:
        super().__init__(id=name)
        self.border_title = title
        self.title = title
        self.cursor = 0
        self.items: list[Item] = []
        self.drawings = 0
        """How often its lines were drawn: for tests of what it costs."""
        self._drawn = drawn
        self._frame: Frame | None = None

    @property
    def chosen(self) -> Item | None:
        """The item under the cursor."""
        return self.items[self.cursor] if self.cursor < len(self.items) else None

    def show(self, frame: Frame) -> None:
        """Show this frame from now on."""
        self._frame = frame
        width = self.scrollable_content_region.width
        if width <= 0 or not self.display:
            return
        self.drawings += 1
        self.put(self._drawn(frame, width))

    def put(self, items: list[Item]) -> None:
        """Show these items; the cursor stays on what it stands for."""
        if items == self.items:
            return
        before, at = self.items, self.cursor
        self.cursor, self.items = self._again(items), items
        if len(items) == len(before) and self.cursor == at:
            for y, (was, one) in enumerate(zip(before, items, strict=True)):
                if was.line != one.line:
                    self.refresh_line(y)
        else:
            self.virtual_size = Size(max(1, self.scrollable_content_region.width), len(items))
            self.refresh()

    def _again(self, items: list[Item]) -> int:
        """Where the cursor is to be: with what it stood on, but at the top it stays there."""
        one = self.chosen
        if self.cursor and one is not None and (one.slice or one.branch is not None):
            first = next((at for at, item in enumerate(items) if item.key == one.key), None)
            if first is not None and not (self.cursor < len(items) and items[self.cursor].key == one.key):
                return first
        return min(self.cursor, max(0, len(items) - 1))

    def on_resize(self, _: events.Resize) -> None:
        self.again()

    def again(self) -> None:
        """Draw the last frame once more: the panel was hidden, or has another size."""
        if self._frame is not None:
            self.items = []
            at, self.cursor = self.cursor, 0
            self.show(self._frame)
            self.cursor = min(at, max(0, len(self.items) - 1))

    def render_line(self, y: int) -> Strip:
        at = y + round(self.scroll_offset.y)
        width = self.scrollable_content_region.width
        line = self.items[at].line if at < len(self.items) else ()
        over = None
        if at == self.cursor and self.has_focus and at < len(self.items):
            over = self.get_component_rich_style("panel--cursor", partial=True)
        return strip(self, line, width, over)

    def action_move(self, by: int) -> None:
        self.cursor = min(max(0, self.cursor + by), max(0, len(self.items) - 1))
        height, top = self.scrollable_content_region.height, round(self.scroll_offset.y)
        if not top <= self.cursor < top + height:
            to = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(y=to, animate=False, force=True)
        self.refresh()

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.scrollable_content_region.height - 1))

    def action_choose(self) -> None:
        if self.chosen is not None:
            self.post_message(self.Chosen(self.chosen))

    def action_turn(self, is_open: bool) -> None:
        """Close the branch under the cursor, or open it."""
        one = self.chosen
        if one is not None and one.branch is not None and not one.more and one.is_open == is_open:
            self.post_message(self.Chosen(one))

    def on_click(self, event: events.Click) -> None:
        self.action_move(event.y - 1 + round(self.scroll_offset.y) - self.cursor)
        if event.chain == 2:
            self.action_choose()
