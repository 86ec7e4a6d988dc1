"""What a passage offers to quote: sentences of prose, values of records, lines of code.

It looks at the path's suffix and at the text, and knows no question.
"""

from __future__ import annotations

from pathlib import PurePath

from swarm.models.extractive.records import Unit, csv_units, json_units, looks_like_json
from swarm.models.extractive.sentences import split
from swarm.source import Passage

_LINES = frozenset(
    """
    .py .pyi .js .jsx .ts .tsx .java .c .h .cc .cpp .hpp .cs .go .rs .rb .php .swift .kt .scala .sh .bash .sql .r
    .lua .pl .m .css .scss .log .ini .cfg .conf .toml .yaml .yml .env .properties .diff .patch .vue .svelte .dart
    """.split()
)


def units(passage: Passage, path: str) -> list[Unit]:
    """The quotable units of a passage, in order; offsets are into the passage's text."""
    text = passage.text
    suffix = PurePath(path).suffix.lower()
    if looks_like_json(path.lower(), text):
        found = json_units(text)
        if found:
            return found
    if suffix in (".csv", ".tsv"):
        return csv_units(text, passage.context.rsplit("\n", 1)[-1], "\t" if suffix == ".tsv" else ",")
    spans = split(text, lines=suffix in _LINES)
    return [Unit(start=start, end=end, text=" ".join(text[start:end].split())) for start, end in spans]
