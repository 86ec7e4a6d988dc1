"""What comes before the panels for a moment: a question, a line to write, a slice looked into, the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from swarm.cli.watching.draw import Item
from swarm.cli.watching.ink import SIGNS, Line
from swarm.cli.watching.panel import Lines, Panel
from swarm.store.mailbox import LONGEST

_BOX = "border: round $border; padding: 0 1; background: $surface;"
_MEANS = {
    "ready": "planned, waits for a place", "running": "at work", "done": "worked", "failed": "could not be worked",
    "dropped": "left alone, on somebody's word", "split": "was too long: its halves took its place",
}  # fmt: skip
_KEYS = (
    ("p", "pause the run, or have it go on"),
    ("s", "add an instruction, from now on"),
    ("x", "stop it (asks first)"),
    ("c", "cancel the chosen slice (asks first)"),
    ("Enter", "look into a slice; open a branch; more"),
    ("↑ ↓ PgUp PgDn Home End", "move; ← and → close and open a branch"),
    ("Tab, Shift-Tab, 1 to 7", "the next panel, the one before, that one"),
    ("q, Ctrl-C", "leave; the run does not notice"),
)
HELP: tuple[Line, ...] = (
    (("Keys", "title"),),
    *(((f"  {key:<24}", "strong"), (text, "")) for key, text in _KEYS),
    (),
    (("Signs", "title"),),
    *(((f"  {sign} {state:<22}", state), (_MEANS[state], "")) for state, sign in SIGNS.items()),
    ((f"  {'◆ coordinator':<24}", "running"), ("plans, judges, answers; has no place", "")),
    ((f"  {'≠':<24}", "warn"), ("two claims that cannot both hold", "")),
    (),
    (("A column for each of the last calls: how full its window was.", "dim"),),
    (("What is asked of the run is told in the line above the keys.", "dim"),),
)


class Question(ModalScreen[bool]):
    """Asks before something is done: no, unless it is y."""

    DEFAULT_CSS = f"""
    Question {{ align: center middle; }}
    Question > Vertical {{ width: 72; max-width: 100%; height: auto; {_BOX} }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape,q", "dismiss(False)", "No"),
    ]

    def __init__(self, asked: Sequence[str]) -> None:
        super().__init__()
        self.asked = tuple(asked)

    def compose(self) -> ComposeResult:
        lines: list[Line] = [((text, "" if number else "strong"),) for number, text in enumerate(self.asked)]
        with Vertical():
            yield Lines(lines=[*lines, (), (("y", "title"), (" yes    ", ""), ("n", "title"), (" no", ""))])


class Words(ModalScreen[str]):
    """A line to write; empty where nothing is to be said."""

    DEFAULT_CSS = f"""
    Words {{ align: center middle; }}
    Words > Vertical {{ width: 80%; min-width: 30; max-width: 100%; height: auto; {_BOX} }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Leave it")]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Lines(lines=[(("What is to be heeded from now on?", "strong"),)])
            yield Input(max_length=LONGEST, placeholder="Leave the appendices out.")
            yield Lines(lines=[(("Enter", "title"), (" says it    ", ""), ("Esc", "title"), (" leaves it", ""))])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


class Text(ModalScreen[None]):
    """Lines to read, as many as there are."""

    DEFAULT_CSS = """
    Text { align: center middle; }
    Text > Panel { width: 92%; max-width: 140; height: 88%; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,question_mark", "dismiss", "Close")]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self.lines = tuple(lines)
        self._title = title

    def compose(self) -> ComposeResult:
        yield Panel("text", self._title, lambda *_: [])

    def on_mount(self) -> None:
        panel = self.query_one(Panel)
        panel.put([Item(line) for line in self.lines])
        panel.border_subtitle = "Esc closes"
        panel.focus()

    def on_panel_chosen(self) -> None:
        self.dismiss()
