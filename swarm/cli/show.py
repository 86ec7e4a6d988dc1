"""An answer as a person reads it: the text with numbered citations, where each quotation stands, what was read.

Nothing here trusts the text: all of it passes `plain`, and goes to rich as data and never as markup.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm.cli.plain import clean, dollars, number, one_line, plural, seconds
from swarm.source import Skip
from swarm.task import Answer, Cell, Citation, Statement

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_WIDEST = 100  # longer lines are hard to read
_QUOTE = 220  # characters of a quotation that are shown; the whole of it is in --json
_ITEMS = 30  # items of a table that are shown
_SKIPS = 5  # skipped inputs that are named
_DIM = "dim"


def show(answer: Answer, console: Console, *, resume: str) -> None:
    """Print the answer on `console`. `resume` is the command that goes on with the run."""
    from rich.text import Text

    blocks: list[Text] = []
    if answer.cells:
        blocks += _table(answer)
    else:
        blocks.append(_text(answer))
    if answer.citations:
        shown = " ".join(block.plain for block in blocks)
        blocks.append(Text("\n").join(_citation(n, it, shown) for n, it in enumerate(answer.citations, 1)))
    if answer.contradictions:
        blocks.append(_contradictions(answer))
    blocks.append(_ledger(answer, resume))
    width = min(console.width, _WIDEST) if console.is_terminal else None
    for index, block in enumerate(blocks):
        if index:
            console.print()
        for line in block.split("\n", allow_blank=True):
            _print(console, line, width)


def _print(console: Console, line: Text, width: int | None) -> None:
    """One line; in a terminal wrapped, and hung under its number or its indentation, elsewhere left whole."""
    from rich.text import Text

    if width is None or len(line.plain) <= width:
        console.print(line, soft_wrap=True)
        return
    opening = re.match(r" *(\[\d+\] |- )?", line.plain)
    hang = len(opening[0]) if opening else 0
    for index, part in enumerate(line.wrap(console, width - hang)):
        console.print(Text.assemble(" " * hang if index else "", part), soft_wrap=True)


def _text(answer: Answer) -> Text:
    """The sentences, each followed by the numbers of its citations.

    Sentences that were copied from different places are set apart; those that were written run on.
    """
    from rich.text import Text

    text = Text()
    if answer.short and answer.status != "no_evidence":
        text.append(one_line(answer.short), style="bold")
        text.append("\n\n")
    if not answer.statements:
        return text.append(clean(answer.text).strip())
    apart = len(answer.statements) > 1 and all(_copied(statement, answer) for statement in answer.statements)
    for index, statement in enumerate(answer.statements):
        text.append(("\n" if apart else " ") if index else "")
        text.append("- " if apart else "", style=_DIM)
        text.append(one_line(statement.text))
        text.append(_marks(statement.citations))
    return text


def _copied(statement: Statement, answer: Answer) -> bool:
    """Whether the sentence stands word for word in what it cites."""
    sentence = " ".join(statement.text.split())
    return any(sentence in " ".join(answer.citations[number].quote.split()) for number in statement.citations)


def _marks(citations: tuple[int, ...]) -> Text:
    from rich.text import Text

    marks = "".join(f"[{number + 1}]" for number in citations)
    return Text(f" {marks}" if marks else "", style="cyan")


def _citation(index: int, citation: Citation, shown: str) -> Text:
    """`[1] path:line  "quote"`; without the quote where the answer has just said it in the same words."""
    from rich.text import Text

    text = Text()
    text.append(f"[{index}] ", style="cyan")
    text.append(one_line(str(citation)), style="bold")
    quote = one_line(citation.quote)
    if quote not in shown:
        text.append(f'  "{one_line(citation.quote, _QUOTE)}"')
    return text


def _contradictions(answer: Answer) -> Text:
    """What the sources disagree on, each side with the numbers of its citations."""
    from rich.text import Text

    text = Text("The sources disagree:", style="yellow")
    for one in answer.contradictions:
        for index, (claim, citations) in enumerate(zip(one.claims, one.citations, strict=True)):
            text.append("\n  but " if index else "\n- ", style="not yellow dim")
            text.append(one_line(claim, _QUOTE), style="not yellow")
            text.append(_marks(citations))
    return text


def _table(answer: Answer) -> list[Text]:
    """The cells by item; a long table is cut, since its files hold all of it."""
    from rich.text import Text

    items: dict[str, list[Cell]] = {}
    for cell in answer.cells:
        items.setdefault(cell.item, []).append(cell)
    blocks = []
    for item, cells in list(items.items())[:_ITEMS]:
        text = Text(one_line(item), style="bold")
        for cell in cells:
            text.append("\n")
            text.append(f"  {one_line(cell.question)}  ", style="not bold dim")
            text.append(one_line(cell.text, _QUOTE) if cell.text else "-", style="not bold")
            text.append(_marks(cell.citations))
        blocks.append(text)
    if len(items) > _ITEMS:
        blocks.append(Text(f"... and {len(items) - _ITEMS:,} more items", style=_DIM))
    return blocks


def _skips(skipped: Sequence[Skip]) -> str:
    """A few by name, many by reason."""
    if len(skipped) <= _SKIPS:
        return "; ".join(f"{one_line(skip.source)} ({one_line(skip.reason, 120)})" for skip in skipped)
    reasons = Counter(one_line(skip.reason, 60) for skip in skipped)
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common()) + " (all in --json)"


def _ledger(answer: Answer, resume: str) -> Text:
    """What was read and what it took, and how to go on where something is left to do."""
    from rich.text import Text

    coverage, usage = answer.coverage, answer.usage
    read = f"read {plural(coverage.sources, 'source')}, {number(coverage.chars_read)} characters"
    if not coverage.sources and answer.slices:
        read = f"worked {plural(answer.slices, 'slice')}"
    if coverage.chars_unread:
        read += f"; not read: {number(coverage.chars_unread)} characters"
    text = Text(read, style=_DIM)
    if coverage.skipped:
        text.append(f"\nskipped {plural(len(coverage.skipped), 'input')}")
        text.append(f", {number(coverage.chars_skipped)} characters: " if coverage.chars_skipped else ": ")
        text.append(_skips(coverage.skipped))
    if answer.failures:
        text.append(f"\n{plural(len(answer.failures), 'slice')} failed: ")
        text.append(one_line(answer.failures[0].reason, 160))
    sent = not answer.stopped and answer.coverage.sources
    spent = ["nothing sent: all of it was in the journal" if sent else "nothing sent"]
    if usage.calls:
        window = f"window {answer.window_peak:,} of {answer.window_limit:,}"
        spent = [plural(usage.calls, "call"), f"{number(usage.tokens)} tokens", dollars(usage.cost_usd), window]
    text.append("\n" + " · ".join([*spent, seconds(answer.elapsed_seconds)]))
    if not answer.complete:
        why = one_line(answer.stopped or "slices failed", 120)
        text.append(f"\npartial ({why}); go on with: ", style="not dim yellow")
        text.append(resume, style="not dim bold")
    return text
