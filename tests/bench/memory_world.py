"""The world of the memory benchmark: planted facts with their key, and the SIMULATION of a model that reads them.

Sentences of invented facts are planted in real prose. The simulated model sees only the text of a request, as a
language model would, and is perfect inside its window and blind outside of it; its settings make it worse. The
relation words of the questions are other words than those of the text: the model knows which mean the same, the
library and the graph do not. Names are the same in both.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from swarm.errors import PromptTooLong
from swarm.models.base import FREE, Completion
from swarm.models.language import schema_text
from swarm.prompts.render import render
from swarm.prompts.typed import ConsolidatePrompt, Prompt, ReadPrompt
from swarm.sources.slicing import OVERHEAD
from swarm.task import Usage
from swarm.tokens import o200k

FILE_BYTES = 1_000_000
MONTHS = "January February March April May June July August September October November December".split()
KINDS = {"red heron": 113, "iron bell": 227, "glass lantern": 341, "white otter": 455, "stone hare": 569}
"""What is counted, and how often it occurs in the whole corpus."""
SINGLES, CHAINS, SERIES = 400, 60, 60
WORDS = {
    "keeper": ("The keeper of {s} is {v}.", "whoever looks after {x}"),
    "owner": ("The owner of {s} is {v}.", "whoever possesses {x}"),
    "born in": ("{s} was born in {v}.", "the place that {x} hails from"),
    "founded by": ("{s} was founded by {v}.", "whoever established {x}"),
    "taught by": ("{s} learned the trade from {v}.", "whoever trained {x}"),
    "toll": ("As of {t} the toll at {s} was {v} pence.", "the amount payable nowadays for crossing {x}"),
    "seen": ("A {s} was seen at {v}.", "every {x} that anyone reported"),
}
"""Of each relation, how the text says it and how a question does: the table of synonyms."""
TYPES = {"keeper": "mp", "owner": "mp", "born in": "pt", "founded by": "tp", "taught by": "pp"}
"""From what to what a relation leads: (m) building, (p)erson, (t)own."""

_TOWN, _TWO = r"[A-Z][a-z]+", r"[A-Z][a-z]+ [A-Z][a-z]+"
_SAID = {"was born in": "born in", "was founded by": "founded by", "learned the trade from": "taught by"}
_FACT = re.compile(
    rf"The (?P<of>keeper|owner) of (?P<what>the {_TOWN} (?:lighthouse|mill)) is (?P<whose>{_TWO})\."
    rf"|(?P<who>{_TWO}|{_TOWN}) (?P<did>{'|'.join(_SAID)}) (?P<whom>{_TWO}|{_TOWN})\."
    rf"|As of (?P<when>\d+ [A-Z][a-z]+ \d{{4}}) the toll at (?P<at>{_TWO}) was (?P<pence>\d+) pence\."
    rf"|A (?P<kind>{'|'.join(KINDS)}) was seen at (?P<where>{_TWO})\."
)
TOTAL = re.compile(rf"\b({'|'.join(KINDS)})s: (\d+)\.")
_SHOWN = re.compile(r'<finding label="(F\d+)"[^>]*>\n(.*)')
_SENTENCE_END = re.compile(r'[.!?]["”]? (?=[A-Z“"])')


class Fact(NamedTuple):
    relation: str
    subject: str
    value: str
    when: str = ""

    @property
    def sentence(self) -> str:
        return WORDS[self.relation][0].format(s=self.subject, v=self.value, t=self.when)

    @property
    def key(self) -> tuple[str, str]:
        return self.relation, self.value if self.relation == "seen" else self.subject

    @property
    def day(self) -> tuple[int, int, int]:
        day, month, year = self.when.split()
        return int(year), MONTHS.index(month), int(day)


@dataclass(frozen=True, slots=True)
class Question:
    """`path` are the relations from `start` to the answer: one for a single fact, several for a chain."""

    kind: str
    text: str
    start: str
    path: tuple[str, ...]
    answer: str


def asked(path: Sequence[str], start: str) -> str:
    """A question in the words of questions, the last relation named first."""
    phrase = start
    for relation in path:
        phrase = WORDS[relation][1].format(x=phrase)
    return f"Find {phrase}."


# The facts and the corpus


class _Names:
    """Invented names, none twice."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._used: set[str] = set()

    def _word(self, endings: str) -> str:
        sounds = [*(2 * ["bdfgklmnprstvz", "aeiou"]), endings.split()]
        return "".join(map(self._dice.choice, sounds)).capitalize()

    def make(self, sort: str) -> str:
        name = ""
        while not name or name in self._used:
            match sort:
                case "p":
                    name = f"{self._word('l r m nna s tto')} {self._word('lbrook ndle rrick mmet xley ttock')}"
                case "t":
                    name = self._word("way low mere stead wick lborough ndale nport")
                case "m":
                    name = f"the {self._word('l r ve ndle stow')} {self._dice.choice(('lighthouse', 'mill'))}"
                case _:
                    name = f"{self._word('l r ve ndle stow')} {sort}"
        self._used.add(name)
        return name


def build_world(size: int, seed: int) -> tuple[list[Fact], list[Question]]:
    """The facts of a corpus of `size` million tokens, in the order of planting, and what is asked."""
    dice = random.Random(seed)
    names = _Names(dice)
    facts: list[Fact] = []
    questions: list[Question] = []

    def single(start: str, relation: str) -> str:
        facts.append(Fact(relation, start, names.make(TYPES[relation][1])))
        return facts[-1].value

    for kind, count in KINDS.items():
        facts += [Fact("seen", kind, names.make("Point")) for _ in range(count)]
        questions.append(Question("count", asked(["seen"], kind), kind, (), str(count)))
    for number in range(SINGLES):
        relation = list(TYPES)[number % len(TYPES)]
        start = names.make(TYPES[relation][0])
        value = single(start, relation)
        questions.append(Question("single", asked([relation], start), start, (relation,), value))
    for number in range(CHAINS):
        sort, path = "m", []
        start = at = names.make(sort)
        for _ in range(2 + number % 3):
            relation = dice.choice([one for one in TYPES if TYPES[one][0] == sort])
            at, sort = single(at, relation), TYPES[relation][1]
            path.append(relation)
        questions.append(Question("chain", asked(path, start), start, tuple(path), at))
    for _ in range(SERIES):
        found = _series(names.make("Bridge"), dice)
        facts += found
        last = max(found, key=lambda fact: fact.day)
        questions.append(Question("latest", asked(["toll"], last.subject), last.subject, ("toll",), last.value))
    while len(facts) < round(3_000 * size**0.65):
        if dice.random() < 0.05:
            facts += _series(names.make("Bridge"), dice)
        else:
            relation = dice.choice(list(TYPES))
            single(names.make(TYPES[relation][0]), relation)
    dice.shuffle(facts)
    return facts, questions


def _series(subject: str, dice: random.Random) -> list[Fact]:
    """A value and its changes: other days, other values."""
    count = dice.randint(3, 8)
    years, values = dice.sample(range(1800, 1990), count), dice.sample(range(2, 99), count)
    return [
        Fact("toll", subject, str(value), f"{dice.randint(1, 28)} {dice.choice(MONTHS)} {year}")
        for year, value in zip(years, values, strict=True)
    ]


def write_corpus(folder: Path, data: Sequence[Path], facts: Sequence[Fact], tokens: int, seed: int) -> int:
    """Files of about a megabyte until `tokens` are there, with the facts at random places; the characters."""
    dice = random.Random(seed + 1)
    prose = _paragraphs(data)
    dice.shuffle(prose)
    size = lru_cache(None)(o200k)
    places = sorted(dice.uniform(0, tokens * 0.999) for _ in facts)
    done = chars = number = held_chars = at = 0
    held: list[str] = []
    while done < tokens:
        text = prose[at]
        done += size(text) + 1
        at = (at + 1) % len(prose)
        while number < len(facts) and places[number] <= done:
            text = _planted(text, facts[number].sentence, dice)
            done += 18
            number += 1
        held.append(text)
        held_chars += len(text) + 2
        if held_chars > FILE_BYTES or done >= tokens:
            (folder / f"{chars // FILE_BYTES:05}.md").write_text("\n\n".join(held) + "\n", "utf-8")
            chars += held_chars
            held, held_chars = [], 0
    assert number == len(facts), (number, len(facts))
    return chars


def _paragraphs(folders: Sequence[Path]) -> list[str]:
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in {".md", ".txt"})
    blocks = (block for path in paths for block in path.read_text("utf-8", "replace").split("\n\n"))
    return [
        " ".join(block.split()) for block in blocks if 120 < len(block) < 4_000 and block.lstrip()[0].isalpha()
    ]


def _planted(text: str, sentence: str, dice: random.Random) -> str:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    at = dice.choice(ends) if ends else len(text)
    return f"{text[:at].rstrip()} {sentence} {text[at:].lstrip()}".rstrip()


def parse(text: str) -> list[tuple[Fact, str]]:
    """The facts that a text states, and the words in which it does."""
    return [(_fact(match), match[0]) for match in _FACT.finditer(text)]


def _fact(match: re.Match[str]) -> Fact:
    if match["of"]:
        return Fact(match["of"], match["what"], match["whose"])
    if match["did"]:
        return Fact(_SAID[match["did"]], match["who"], match["whom"])
    if match["when"]:
        return Fact("toll", match["at"], match["pence"], match["when"])
    return Fact("seen", match["kind"], match["where"])


@lru_cache(maxsize=500_000)
def _dice(*parts: object) -> float:
    """From 0 to 1, by the hash of the parts."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=6).digest(), "big") / 2**48


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """`decay`: how likely a fact is overlooked in a full window (half of it in a half full one); `error`: how
    likely a value is noted wrongly."""

    window: int
    max_output: int = 4_096
    decay: float = 0.0
    error: float = 0.0

    def notices(self, sentence: str, tokens: int, salt: object = "") -> bool:
        return not self.decay or _dice(sentence, salt) >= self.decay * min(1.0, tokens / self.window)

    def noted(self, fact: Fact) -> Fact:
        wrong = bool(self.error) and _dice(fact, "error") < self.error
        return fact._replace(value=fact.value[::-1].title()) if wrong else fact


@dataclass
class Notes:
    """What is to be said shorter: totals of what is counted, of a changing value the last, and other facts."""

    totals: Counter[str] = field(default_factory=Counter)
    facts: dict[tuple[str, str], Fact] = field(default_factory=dict)
    labels: defaultdict[object, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, fact: Fact, label: str = "") -> None:
        if fact.relation == "seen":
            self.count(fact.subject, 1, label)
            return
        known = self.facts.get(fact.key)
        if known is None or (fact.when and fact.day > known.day):
            self.facts[fact.key] = fact
        self.labels[fact.key].append(label)

    def count(self, kind: str, number: int, label: str = "") -> None:
        self.totals[kind] += number
        self.labels[kind].append(label)

    def said(self, room: int, cost: Callable[[str], int]) -> Iterator[tuple[str, list[str]]]:
        """Statements that cost at most `room`, each with its labels; what fits no more is forgotten. Which facts
        stay is as good as random, since nobody knows what will be asked."""
        totals, self.totals = self.totals, Counter()
        for kind, number in totals.items():
            text = f"{kind}s: {number}."
            if cost(text) <= room:
                room -= cost(text)
                self.totals[kind] = number
                yield text, self.labels[kind]
        facts, self.facts = self.facts, {}
        for key in sorted(facts, key=lambda key: _dice(key)):
            room -= cost(facts[key].sentence)
            if room < 0:
                break
            self.facts[key] = facts[key]
            yield facts[key].sentence, self.labels[key]


class Simulated:
    """A `Model` that is no model: see the top of this file. `unsaid` counts the facts that a reader saw and had no
    place for in its reply."""

    selective = False
    revision = ""
    price = FREE

    def __init__(self, abilities: Abilities) -> None:
        self.name = f"simulated-{abilities.window}"
        self.window, self.max_output = abilities.window, abilities.max_output
        self.calls, self.sent, self.written = Counter[str](), Counter[str](), Counter[str]()
        self.unsaid = 0
        self._abilities = abilities
        self._frames: dict[tuple[object, ...], int] = {}
        self._last: tuple[Prompt[Any] | None, str, int] = (None, "", 0)

    def count(self, prompt: Prompt[Any]) -> int:
        if not isinstance(prompt, ReadPrompt) or prompt.repair is not None or not prompt.passages:
            return self._rendered(prompt)[1]
        key = (prompt.question, prompt.output, prompt.reading, prompt.max_findings)
        if key not in self._frames:
            self._frames[key] = 16 + self._rendered(ReadPrompt(**(vars(prompt) | {"passages": ()})))[1]
        return self._frames[key] + sum(one.tokens + 1 for one in prompt.passages) + OVERHEAD * len(prompt.paths)

    def ratio(self) -> float:
        return 1.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        tokens = self.count(prompt)
        if tokens + max_output > self.window:
            raise PromptTooLong("longer than the window", tokens=tokens, limit=self.window)
        self.calls[prompt.kind] += 1
        self.sent[prompt.kind] += tokens
        match prompt:
            case ReadPrompt():
                text = "\n\n".join(render(prompt).parts)
                if self.calls["read"] % 50 == 1:
                    assert self._rendered(prompt)[1] <= tokens, "a request counts more than was said"
                reply = self._read(text, tokens, prompt.max_findings, max_output)
            case ConsolidatePrompt():
                reply = {"statements": self._consolidate(self._rendered(prompt)[0], tokens, prompt.words)}
            case _:
                reply = _REPLIES[prompt.kind]
        out = json.dumps(reply)
        output = o200k(out)
        assert output <= max_output, (prompt.kind, output, max_output)
        self.written[prompt.kind] += output
        return Completion(text=out, usage=Usage(calls=1, input_tokens=tokens, output_tokens=output))

    async def close(self) -> None:
        """Nothing to release."""

    def _rendered(self, prompt: Prompt[Any]) -> tuple[str, int]:
        if self._last[0] is not prompt:
            whole = render(prompt)
            texts = (whole.system, *whole.parts, schema_text(prompt.reply))
            self._last = (prompt, "\n\n".join(whole.parts), sum(map(o200k, texts)))
        return self._last[1:]

    def _read(self, text: str, tokens: int, most: int, room: int) -> dict[str, Any]:
        findings: list[dict[str, Any]] = []
        room -= 64
        for seen, quote in parse(text):
            if not self._abilities.notices(quote, tokens):
                continue
            fact = self._abilities.noted(seen)
            one: dict[str, Any] = {"claim": fact.sentence, "quote": quote, "relevance": 0.5}
            if fact.relation != "seen":
                one |= {"subject": fact.subject, "attribute": fact.relation, "value": fact.value}
            if fact.when:
                one |= {"unit": "pence", "time": fact.when}
            room -= o200k(json.dumps(one)) + 1
            if len(findings) == most or room < 0:
                self.unsaid += 1
            else:
                findings.append(one)
        return {"findings": findings, "summary": "", "open_questions": []}

    def _consolidate(self, text: str, tokens: int, words: int) -> list[dict[str, Any]]:
        notes = Notes()
        for label, claim in _SHOWN.findall(text):
            for kind, number in TOTAL.findall(claim):
                notes.count(kind, int(number), label)
            for fact, sentence in parse(claim):
                if self._abilities.notices(sentence, tokens, text[:200]):
                    notes.add(fact, label)
        said = notes.said(words, lambda sentence: len(sentence.split()))
        return [{"text": text, "findings": labels} for text, labels in said]


_REPLIES: dict[str, dict[str, Any]] = {
    "plan": {"queries": [], "reading": ""},
    "judge": {"verdict": "answer", "follow_ups": [], "reason": ""},
    "compare": {"pairs": []},
    "answer": {"answerable": True, "short": None, "statements": [{"text": "See the graph.", "findings": ["F1"]}]},
}
