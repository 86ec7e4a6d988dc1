"""The calls of a run in columns: some sixty bytes a call, so that a million of them fit in memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

from swarm.store.journal import LOST, Call, Outcome

UNDER_WAY, ANSWERED, FAILED, REFUSED = 0, 1, 2, 3
"""What became of a call; one that failed may be tried again, and then is under way anew."""


class Names:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found


class Calls:
    """One row a call, in the order in which they were first begun; all columns are of the same length. `begun` and
    `ended` are seconds since the epoch (`ended` is 0 while a call is under way), of the last try; `room` is the
    window in tokens, or 0; `counted` the input as counted and the longest reply, in tokens, which is what fills
    the window; `worst_usd` is the most that one try can come to; `sent` how many tries were
    billed, or may have been. Tokens and other dollars are the sums over all tries."""

    def __init__(self) -> None:
        self.seq: Final = array("q")
        self.begun: Final = array("d")
        self.ended: Final = array("d")
        self.state: Final = array("b")
        self.room: Final = array("l")
        self.counted: Final = array("l")
        self.sent: Final = array("l")
        self.input_tokens: Final = array("l")
        self.output_tokens: Final = array("l")
        self.cached_tokens: Final = array("l")
        self.cost_usd: Final = array("d")
        self.worst_usd: Final = array("d")
        self.model: Final = array("l")
        self.kind: Final = array("l")
        self.asker: Final = array("l")
        self.models, self.kinds, self.askers = Names(), Names(), Names()
        self.keys: Final[list[bytes]] = []
        self.under_way: Final[set[int]] = set()
        """Rows of calls that have no outcome yet, or failed and may be tried again."""

    def __len__(self) -> int:
        return len(self.seq)

    def add(self, call: Call, asker: str = "") -> int:
        """A call that was begun; its row. `asker` is its name as it is kept already, if it is."""
        row = len(self.seq)
        self.seq.append(call.seq)
        self.begun.append(call.begun)
        self.room.append(call.window)
        self.counted.append(call.tokens)
        self.model.append(self.models.number(call.model))
        self.kind.append(self.kinds.number(call.kind))
        self.asker.append(self.askers.number(asker or call.asker))
        self.keys.append(bytes.fromhex(call.key))
        for column in (self.state, self.sent, self.input_tokens, self.output_tokens, self.cached_tokens):
            column.append(0)
        self.ended.append(0.0)
        self.cost_usd.append(0.0)
        self.worst_usd.append(call.cost_usd)
        self.under_way.add(row)
        return row

    def row(self, seq: int) -> int | None:
        """The row of a call by its number in the journal; None: it is another run's."""
        row = bisect_left(self.seq, seq)
        return row if row < len(self.seq) and self.seq[row] == seq else None

    def settle(self, row: int, outcome: Outcome) -> None:
        """What became of a try."""
        usage = outcome.usage
        # of one that was lost nobody knows how long it took: it is told when the run goes on, days later maybe
        lost = outcome.failure == LOST
        self.ended[row] = (outcome.begun or self.begun[row]) if lost else outcome.at
        self.sent[row] += usage.calls
        self.input_tokens[row] += usage.input_tokens
        self.output_tokens[row] += usage.output_tokens
        self.cached_tokens[row] += usage.cached_tokens
        self.cost_usd[row] += usage.cost_usd
        if outcome.failure is None:
            self.state[row] = REFUSED if outcome.refused else ANSWERED
            self.under_way.discard(row)
        elif outcome.begun is None or outcome.begun >= self.begun[row]:  # else a later try is under way
            self.state[row] = FAILED

    def at_rest(self) -> None:
        """Nobody is at the run: what was under way came to nothing, as far as is known."""
        for row in self.under_way:
            self.state[row] = FAILED

    def over(self, row: int) -> float | None:
        """When the last try came to its end; None: it is under way, or nobody knows."""
        return None if self.state[row] == UNDER_WAY or not self.ended[row] else self.ended[row]

    def again(self, row: int, call: Call) -> bool:
        """A call that is known, as it stands now. Whether that is news."""
        known = (self.begun[row], self.counted[row], self.room[row], self.worst_usd[row])
        if call.begun < self.begun[row] or known == (call.begun, call.tokens, call.window, call.cost_usd):
            return False
        if call.begun > self.begun[row] and self.state[row] == FAILED:
            self.state[row] = UNDER_WAY
        self.begun[row] = call.begun
        self.counted[row], self.room[row], self.worst_usd[row] = call.tokens, call.window, call.cost_usd
        return True

    def row_of(self, key: str) -> int | None:
        """The row of a call by its key in the journal."""
        try:
            return self.keys.index(bytes.fromhex(key))
        except ValueError:
            return None

    def fill(self, row: int) -> float | None:
        """The share of its window that a call was counted to fill, from 0 to 1; None where that was not noted."""
        return self.counted[row] / self.room[row] if self.room[row] else None

    def asked_by(self, row: int) -> str:
        return self.askers.texts[self.asker[row]]
