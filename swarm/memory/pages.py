"""The pages of a mirrored memory: Markdown that a person reads and edits, and what of an edited page is meant.

Whatever was said is data: it is escaped, so that no heading, HTML, link or fence in it has an effect, and
characters that a terminal or an editor would obey are shown as their code points. File names are made of letters,
digits and hyphens alone. The same content makes the same page. This module knows text, not memories or folders.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from swarm.graph.identity import name_of

HISTORY = "<details><summary>History</summary>"
_FOLDED = "</details>"
_SPECIAL = re.compile(r"([\\`*_\[\]<>&#|~])")
_LEADING = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=:]))")
"""What would make a list, a rule or a heading of a line: its next character is escaped."""
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_ITEM = re.compile(r"^\s*[-*+] +(?P<head>.*)$")
_MARKED = re.compile(r"^(?P<head>.*) — `(?P<id>k[0-9a-f]{16})`[^`]*$")
_ATTRIBUTE = re.compile(r"^\*\*(?P<attribute>.+?)\*\*: (?P<value>.*)$")
_TAKEN = re.compile(r"\d{4}-\d\d|readme|undated|con|prn|aux|nul|(?:com|lpt)\d|(?:.*-)?[0-9a-f]{12}")
"""Names of files that mean something else: months, devices of Windows, and those that end in a hash."""
_STEM_CHARS = 60
_ID_CHARS = 17  # a letter and 64 bits
_SAID_CHARS = 160
SHOWN_CHARS = 20_000
"""Characters of a message that its page shows; of a longer one, the rest is in the memory."""
_HOW = (
    "Edit a block as it stands. In facts, change what stands before the dash and the fact is replaced, remove its "
    "line and it is retired, write a line and it is added; then mirror again. Messages are not edited."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A message on its page. `when` is shown as it stands; `more` characters of it are not shown."""

    id: str
    who: str
    when: str
    text: str
    more: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A fact on its page: what it says, an attribute with its value or a sentence alone, and where it is from.
    `said` are the words that it rests on, `link` leads to them, and `ended` says why it holds no longer."""

    id: str
    attribute: str | None
    value: str
    at: str = ""
    who: str = ""
    link: str = ""
    said: str = ""
    ended: str = ""

    @property
    def head(self) -> str:
        return f"**{escaped(self.attribute)}**: {escaped(self.value)}" if self.attribute else escaped(self.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a page of facts as a person left it. `id` is empty for one that they wrote themselves."""

    id: str
    head: str

    @property
    def attribute(self) -> str | None:
        found = _ATTRIBUTE.match(self.head)
        return plain(found["attribute"]) if found else None

    @property
    def value(self) -> str:
        found = _ATTRIBUTE.match(self.head)
        return plain(found["value"] if found else self.head)


# Words


def visible(text: str) -> str:
    """Text without characters that are obeyed and not seen: their code points stand in their place."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub(lambda found: f"‹{ord(found[0]):04X}›", text)


def escaped(text: str) -> str:
    """One line of text, in Markdown that shows exactly that."""
    line = _SPECIAL.sub(r"\\\1", " ".join(visible(text).split()))
    return _LEADING.sub(r"\1\\", line, count=1)


def plain(line: str) -> str:
    """What a line of Markdown says, with its escapes undone."""
    return _ESCAPED.sub(r"\1", line).strip()


def shown_id(id_: str) -> str:
    """As much of an id as pages show: enough to find it by."""
    return id_[:_ID_CHARS]


def stem_of(name: str) -> str:
    """The name of a file for whatever facts are about: what goes by another name never shares it, and spellings
    of one name do."""
    key = name_of(name)
    ascii_ = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_.lower()).strip("-")[:_STEM_CHARS].strip("-")
    if slug and slug.replace("-", " ") == key and not _TAKEN.fullmatch(slug):
        return slug
    return _hashed(slug, key)


def _hashed(slug: str, name: str) -> str:
    hashed = blake2b(name.encode("utf-8", "replace"), digest_size=6, person=b"page").hexdigest()
    return f"{slug}-{hashed}" if slug else hashed


# Blocks


def block_stem(name: str) -> str:
    """The name of a block's file: its own, where that is made of small letters, digits and hyphens; two blocks
    never share one."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_STEM_CHARS].strip("-")
    if slug == name and not _TAKEN.fullmatch(slug):
        return slug
    return _hashed(slug, name)


def block_page(name: str, text: str) -> str:
    return f"# {escaped(name)}\n\n{_body(visible(text))}\n"


def block_text(name: str, page: str) -> str:
    """The text of a block, from its page as a person left it: with or without the heading."""
    first, _, rest = page.replace("\r\n", "\n").partition("\n")
    return _body(rest if first.strip() == f"# {escaped(name)}" else page)


def _body(text: str) -> str:
    """A text without empty lines around it; its first line may be indented."""
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", text).rstrip()


# Messages


def message_section(said: Said) -> str:
    """A message as it stands on its page, quoted."""
    more = f"\n\n*{said.more:,} more characters are in the memory.*" if said.more else ""
    quoted = "\n".join(f"> {_shown(line)}".rstrip() for line in visible(said.text).strip().split("\n"))
    when = f" · {escaped(said.when)}" if said.when else ""
    id_ = shown_id(said.id)
    return f'\n<a id="{id_}"></a>\n**{escaped(said.who)}**{when} · `{id_}`\n\n{quoted}{more}\n'


def _shown(line: str) -> str:
    """A line of a message: what stands before its words would make a block of it."""
    line = _SPECIAL.sub(r"\\\1", line.replace("\t", " ").strip())
    return _LEADING.sub(r"\1\\", line, count=1)


def messages_head(title: str) -> str:
    return f"# {title}\n"


# The index


def index_page(
    name: str,
    *,
    messages: int,
    blocks: Sequence[tuple[str, str, str, int]],
    subjects: Sequence[tuple[str, str]],
    days: Sequence[str],
    more_subjects: bool = False,
    more_days: bool = False,
) -> str:
    """What there is. A block is its file's name, its own, its description and its limit in tokens; `subjects` and
    `days` are those that were spoken of last; of others it says where they are."""
    lines = [f"# Memory of {escaped(name)}", "", f"{messages:,} messages. {_HOW}"]
    if blocks:
        lines += ["", "## Blocks", ""]
    for stem, block, description, limit in blocks:
        told = f": {escaped(description)}" if description.strip() else ""
        lines.append(f"- [{escaped(block)}](blocks/{stem}.md){told} (at most {limit:,} tokens)")
    if subjects:
        lines += ["", "## Facts, the latest first", ""]
        lines += [f"- [{escaped(subject)}](facts/{stem}.md)" for stem, subject in subjects]
        lines += ["- others in [facts](facts/)"] * more_subjects
    if days:
        lines += ["", "## Messages, the latest first", ""]
        lines += [f"- [{path.rsplit('/', 1)[-1].removesuffix('.md')}]({path})" for path in days]
        lines += ["- earlier ones in [messages](messages/)"] * more_days
    return "\n".join(lines) + "\n"


# Facts


def facts_page(subject: str, now: Iterable[Known], before: Iterable[tuple[Sequence[Known], int]]) -> str:
    """What is known of a subject: what holds, a line each, and below it what held before, oldest last: of each
    fact some versions, and how many there are."""
    lines = [f"# {escaped(subject)}", ""]
    lines += [_fact_line(known) for known in now]
    folded = []
    for versions, count in before:
        folded += [_fact_line(known) for known in versions]
        if count > len(versions):
            folded.append(f"- {count - len(versions):,} earlier ones are in the memory.")
    if folded:
        lines += ["", HISTORY, "", *folded, "", _FOLDED]
    return "\n".join(lines).rstrip() + "\n"


def _fact_line(known: Known) -> str:
    head = f"~~{known.head}~~" if known.ended else known.head
    parts = [f"since {_aside(known.at)}"] if known.at else []
    if known.link:
        parts.append(f"[{_aside(known.who) or 'said'}]({known.link})")
    elif known.who:
        parts.append(_aside(known.who))
    if known.said and known.said != known.value:
        parts.append(f"“{_aside(known.said)}”")
    if known.ended:
        parts.append(_aside(known.ended))
    return f"- {head} — `{shown_id(known.id)}` {' · '.join(parts)}".rstrip()


def _aside(text: str) -> str:
    """What stands beside a fact: in no need to be read back, and without what its line is told apart by."""
    line = " ".join(visible(text).replace("`", "'").split())
    return escaped(line if len(line) <= _SAID_CHARS else line[: _SAID_CHARS - 1] + "…")


def fact_lines(page: str) -> list[Line]:
    """The facts of a page that hold now, as a person left them."""
    found, folded = [], False
    for line in page.replace("\r\n", "\n").split("\n"):
        if line.strip() in (HISTORY, _FOLDED):
            folded = line.strip() == HISTORY
        elif not folded and line.strip() and not line.lstrip().startswith(("#", "<!--")):
            found.append(_line(line))
    return [line for line in found if line.head]


def _line(line: str) -> Line:
    item = _ITEM.match(line)
    head = (item["head"] if item else line).strip()
    marked = _MARKED.match(head)
    return Line(id=marked["id"], head=marked["head"].strip()) if marked else Line(id="", head=head)


def ids_in(page: str) -> list[str]:
    """The ids of all facts on a page, also of those that hold no longer."""
    marks = (_MARKED.match(line) for line in page.split("\n"))
    return [found["id"] for found in marks if found]


def subject_in(page: str) -> str | None:
    """What the heading of a page says that it is about."""
    for line in page.split("\n"):
        if line.startswith("# "):
            return plain(line[2:]) or None
    return None


__all__ = [
    "HISTORY", "SHOWN_CHARS", "Known", "Line", "Said", "block_page", "block_stem", "block_text", "escaped",
    "fact_lines", "facts_page", "ids_in", "index_page", "message_section", "messages_head", "plain", "shown_id",
    "stem_of", "subject_in", "visible",
]  # fmt: skip
