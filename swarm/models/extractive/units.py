"""What a text offers to quote: sentences of prose, values of records, lines of code.

It looks at the path's suffix and at the text, and knows no question.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from swarm.models.extractive.code import code_units
from swarm.models.extractive.records import Unit, csv_units, json_units, looks_like_json
from swarm.models.extractive.sentences import split
from swarm.source import Passage

_SHORTEST = 4  # characters: less is no sentence
_CODE = frozenset(
    """
    .py .pyi .js .jsx .ts .tsx .java .c .h .cc .cpp .hpp .cs .go .rs .rb .php .swift .kt .scala .sh .bash .sql .r
    .lua .pl .m .vue .svelte .dart
    """.split()
)
_LINES = frozenset(
    """
    .css .scss .log .ini .cfg .conf .toml .yaml .yml .env .properties .diff .patch
    """.split()
)


def units(text: str, path: str, context: str = "") -> list[Unit]:
    """The quotable units of a text, in order, with their offsets in it."""
    suffix = PurePath(path).suffix.lower()
    if looks_like_json(path.lower(), text):
        found = json_units(text)
    elif suffix in (".csv", ".tsv"):
        found = csv_units(text, context.rsplit("\n", 1)[-1], "\t" if suffix == ".tsv" else ",")
    elif suffix in _CODE:
        found = code_units(text)
    else:
        spans = split(text, lines=suffix in _LINES)
        found = [Unit(start=start, end=end, text=" ".join(text[start:end].split())) for start, end in spans]
    return [unit for unit in found if unit.key or len(unit.text) >= _SHORTEST]


def joined(passages: Iterable[Passage]) -> list[list[Passage]]:
    """Passages that are pieces of one unit of their source, together; every other alone."""
    runs: list[list[Passage]] = []
    for passage in passages:
        last = runs[-1][-1].span if runs else None
        if passage.cut == 0 and last and (last.source, last.end) == (passage.span.source, passage.span.start):
            runs[-1].append(passage)
        else:
            runs.append([passage])
    return runs
