"""Finds what can be quoted in the raw text of records: JSON, JSON Lines, CSV.

The text that spans point into is the raw one, with its escapes. Here each string value is cut into sentences
whose offsets hold in the raw text and whose readable form is unescaped; punctuation of the format is never
quoted. Short values place a sentence (a title, a speaker, a time), and stand for themselves where a record has
no prose. Records may be cut anywhere: a passage can begin in the middle of a string.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field

from swarm.models.extractive.sentences import FILLER, LONGEST, split

_TOKEN = re.compile(
    r'"(?P<string>[^"\\]*(?:\\.[^"\\]*)*)(?:"(?P<colon>\s*:)?|\\?\Z)'
    r"|(?P<plain>-?\d[\d.eE+-]*|\btrue\b|\bfalse\b)|(?P<open>\{)|(?P<close>\})",
    re.DOTALL,
)
_LOOKS_JSON = re.compile(r'\s*(?:[\[{]\s*)*"(?:[^"\\\n]|\\.){1,80}"\s*:')
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
_TITLES = ("title", "name", "headline", "heading", "subject", "label")
_TEXTS = ("text", "content", "body", "message")
_SPEAKERS = ("speaker", "author", "from", "sender", "user", "role", "by")
_TIMES = ("time", "at", "date", "datetime", "timestamp", "when", "created_at", "published", "year")
_SILENT = frozenset("id _id uuid guid key url link href hash index session_id lang language".split())
_PROSE, _WORDS = 60, 8  # characters, blanks: a longer value is prose, a shorter one a field
_PLACING = 200  # characters: a longer value does not place anything


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """What can be quoted: `start:end` of the passage's text, and its readable form.

    `title` names the record or section it belongs to, `about` all that places it (title, speaker, time), and
    `time` when it was said, where the record tells. `key` is the field's name where the unit is a field.
    """

    start: int
    end: int
    text: str
    title: str = ""
    about: str = ""
    time: str = ""
    key: str = ""


@dataclass(slots=True)
class _Value:
    """A value at `start:end` of the raw text; its key begins at `named`."""

    key: str
    named: int
    start: int
    end: int
    text: str


@dataclass(slots=True)
class _Record:
    """One object: its values in order, the key that is being read, and the object that it is a part of."""

    parent: _Record | None = None
    key: str = ""
    named: int = -1
    values: list[_Value] = field(default_factory=list)

    def first(self, keys: tuple[str, ...]) -> str:
        """The short value under the first of `keys` that this object, or one around it, has."""
        for key in keys:
            for value in self.values:
                if value.key == key and len(value.text) <= _PLACING:
                    return value.text
        return self.parent.first(keys) if self.parent else ""


def looks_like_json(path: str, text: str) -> bool:
    if path.endswith((".json", ".jsonl", ".ndjson")):
        return True
    return bool(_LOOKS_JSON.match(text)) and text.lstrip()[:1] in ("{", "[", '"')


def json_units(text: str) -> list[Unit]:
    """The quotable units of a stretch of JSON, in order."""
    units = [unit for record in _records(text) for unit in _record_units(text, record)]
    return sorted(units, key=lambda unit: unit.start)


def _records(text: str) -> list[_Record]:
    """The objects of a stretch of JSON, also where it begins or ends inside of one."""
    current = _Record()
    records = [current]
    position = 0
    if inside := _string_in_progress(text):
        current.values.append(_Value("", -1, 0, inside, _readable(text[:inside])))
        position = inside + 1
    for match in _TOKEN.finditer(text, position):
        group = match.lastgroup
        if group == "open":
            current = _Record(parent=current)
            records.append(current)
        elif group == "close":
            if current.parent is None:  # its beginning is in the passage before
                records.append(_Record())
            current = current.parent or records[-1]
        elif group == "colon":
            current.key, current.named = _readable(match.group("string")).lower(), match.start("string")
        else:
            start, end = match.span(group or 0)
            if end > start:
                current.values.append(_Value(current.key, current.named, start, end, _readable(text[start:end])))
    return records


def _string_in_progress(text: str) -> int:
    """The end of the string in whose middle the text begins; 0 where it does not begin in one."""
    if re.match(r'\s*[\[{}\],"]', text):
        return 0
    closing = re.search(r'(?<!\\)"\s*(?:[,}\]]|$)', text)
    return closing.start() if closing else len(text)


def _record_units(text: str, record: _Record) -> list[Unit]:
    title, speaker, time = record.first(_TITLES), record.first(_SPEAKERS), record.first(_TIMES)
    about = ", ".join(dict.fromkeys(part for part in (title, speaker, time) if part))
    special = {*_TITLES, *_SPEAKERS, *_TIMES, *_SILENT}
    texts = [
        value for value in record.values if _is_prose(value.text) and value.key not in special and value.named >= 0
    ]
    # what a text that begins in mid-string begins with has no key
    begun = [value for value in record.values if value.named < 0]
    prose = begun + texts or [value for value in record.values if value.key in _TEXTS]
    units = []
    for value in prose:
        for start, end in split(_mask(text[value.start : value.end])):
            a, b = value.start + start, value.start + end
            units.append(
                Unit(start=a, end=b, text=_readable(text[a:b]), title=title or speaker, about=about, time=time)
            )
    kept = {id(value) for value in prose}
    fields = [v for v in record.values if id(v) not in kept and v.text.strip() and v.key not in _SILENT]
    if prose:
        fields = [v for v in fields if v.key not in special]
    elif fields and fields[-1].end - fields[0].named <= LONGEST and fields[0].named >= 0:
        whole = "; ".join(f"{v.key}: {v.text}" for v in fields)
        return [Unit(start=fields[0].named, end=fields[-1].end, text=whole, title=title, about=about, time=time)]
    for value in fields:
        # a value of a word or two stands everywhere: it is quoted with its key
        start = value.start if value.text.count(" ") > 1 or value.named < 0 else value.named
        units.append(
            Unit(
                start=start, end=value.end, text=value.text, title=title, about=about, time=time, key=value.key
            )
        )  # fmt: skip
    return units


def _is_prose(text: str) -> bool:
    return len(text) > _PROSE or text.count(" ") >= _WORDS


def _mask(raw: str) -> str:
    """The raw string with each escape replaced by as many characters that read like what it stands for."""
    if "\\" not in raw:
        return raw

    def plain(match: re.Match[str]) -> str:
        escape = match.group()
        if escape[1] in "nr":
            return " \n"
        if escape[1] == "u":
            return FILLER * 5 + chr(int(escape[2:], 16))
        return {"t": "  ", '"': '""', "/": "//"}.get(escape[1], FILLER + escape[1])

    return _ESCAPE.sub(plain, raw)


def _readable(raw: str) -> str:
    """The text that a raw stretch of a JSON string stands for."""
    if "\\" in raw:
        try:
            raw = json.loads(f'"{raw}"', strict=False)
        except ValueError:
            raw = _ESCAPE.sub(" ", raw)
        # half of a pair of surrogates, where the text was cut between them
        raw = raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(raw.split())


def csv_units(text: str, header: str, delimiter: str) -> list[Unit]:
    """The rows, each placed by its first cell; `header` names the columns, where it is known."""
    names = next(csv.reader([header], delimiter=delimiter), []) if header else []
    units: list[Unit] = []
    for line in re.finditer(r"[^\n]+", text):
        raw = line.group()
        if raw.strip() == header.strip():
            continue
        row = next(csv.reader([raw], delimiter=delimiter), [])
        pairs = [f"{name}: {cell}" for name, cell in zip(names, row, strict=False) if cell.strip()]
        readable = "; ".join(pairs) if len(names) == len(row) and len(names) > 1 else raw.strip()
        start = line.start() + len(raw) - len(raw.lstrip())
        end = line.start() + len(raw.rstrip())
        units.append(Unit(start=start, end=end, text=readable, title=row[0] if row else "", about=header))
    return units
