"""What of a memory stands on which page of its mirror, and which pages follow from what has changed.

Messages are appended to the page of their day; a page of facts is made anew where one of its facts is new or was
retired; blocks and the index are short and always made. Where something was forgotten, or the memory is not the
one that was mirrored, all pages are made. Reads the memory and writes through a checkout; blocks the thread. This
module knows neither git nor edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from swarm.memory import facts, pages
from swarm.memory.checkout import INDEX, Checkout
from swarm.memory.facts import Fact
from swarm.memory.log import Line
from swarm.memory.pages import Known, Said
from swarm.memory.slots import canonical

if TYPE_CHECKING:
    from swarm.memory.memory import Memory

_FORM = 1  # of all pages: what is mirrored in another one is made anew
_PLACES = 500  # messages of a page whose messages have no date
_VERSIONS = 20  # of a fact on its page
_HELD_CHARS = 20_000_000  # of pages of messages that are not written yet
_PAGE_CHARS = 400_000  # of a page of messages: a day of more has several
_LISTED = 300  # of the latest facts and messages, whose subjects and days the index names
_NAMED = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """Up to where a memory is mirrored: how many messages and facts were numbered, how many facts there are, and
    how many records of what was retired and forgotten. `last` is the id of the last fact."""

    messages: int
    facts: int
    rows: int
    retired: int
    forgotten: int
    last: str
    form: int = _FORM

    @classmethod
    def of(cls, memory: Memory) -> Self:
        log, journal = memory.log, memory.journal
        numbered = log.counted("facts")
        return cls(
            messages=len(log),
            facts=numbered,
            rows=_rows(memory),
            retired=journal.count(memory.run_id, "retired"),
            forgotten=journal.count(memory.run_id, "forgotten"),
            last=_last(memory, numbered),
        )

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self | None:
        try:
            return cls(**state["cursor"])
        except (KeyError, TypeError):
            return None

    def state(self, memory: str) -> dict[str, Any]:
        return {"memory": memory, "cursor": asdict(self)}

    def leads_to(self, now: Cursor, memory: Memory) -> bool:
        """Whether what is there now is what was there and more: then pages follow from what is new."""
        grown = now.messages >= self.messages and now.facts >= self.facts and now.retired >= self.retired
        whole = now.rows - self.rows == now.facts - self.facts and now.forgotten == self.forgotten
        return grown and whole and self.form == now.form and self.last == _last(memory, self.facts)

    def told(self, before: Cursor | None, memory: str) -> str:
        """The message of a commit."""
        messages = _plural(self.messages - (before.messages if before else 0), "message")
        facts = _plural(self.facts - (before.facts if before else 0), "fact")
        return f"Mirror of {memory}\n\n{messages} and {facts} since the last one\n"


def _plural(count: int, word: str) -> str:
    return f"1 {word}" if count == 1 else f"{max(count, 0):,} {word}s"


def _rows(memory: Memory) -> int:
    log = memory.log
    sql = "SELECT count(*) FROM facts WHERE num > ? AND num <= ?"
    return int(log.database.read(sql, (log.base, log.base + log.counted("facts")))[0][0]) if log.num else 0


def _last(memory: Memory, numbered: int) -> str:
    log = memory.log
    sql = "SELECT id FROM facts WHERE num > ? AND num <= ? ORDER BY num DESC LIMIT 1"
    rows = log.database.read(sql, (log.base, log.base + numbered)) if log.num else []
    return str(rows[0][0]) if rows else ""


class _Row(NamedTuple):
    """Of a fact, what says on which page it stands; a month, or "undated", where it is about no one thing."""

    num: int
    in_slot: bool
    subject: str
    attribute: str
    month: str


@dataclass(kw_only=True, slots=True)
class _Group:
    """What stands on one page of facts: attributes by the names of their slots, and numbers of facts that are of
    no attribute, or of one that may have several values."""

    title: str
    subject: str | None
    attributes: dict[str, str] = field(default_factory=dict)
    alone: dict[int, None] = field(default_factory=dict)

    def add(self, row: _Row) -> None:
        if row.in_slot and row.attribute:
            self.attributes.setdefault(canonical(row.attribute), row.attribute)
        else:
            self.alone[row.num] = None


class Contents:
    """The pages of a memory, written into a checkout: those that follow from what is new after `since`, or all
    where it is None. `before` has the pages that a person edited, as they were mirrored. Afterwards, `made` are
    the pages that are as the memory has them, and `written` and `removed` those that changed."""

    def __init__(
        self, memory: Memory, checkout: Checkout, since: Cursor | None, before: Mapping[str, str | None]
    ) -> None:
        self._memory, self._log, self.checkout = memory, memory.log, checkout
        self._since, self._before = since, before
        self.made: set[str] = set()
        self.written: set[str] = set()
        self.removed: set[str] = set()

    def write(self, mirrored: Iterable[str]) -> None:
        """Make the pages. `mirrored` are pages of the last mirror that go where the memory has none like them."""
        self._blocks()
        for stem, group in self._groups().items():
            self._facts(f"facts/{stem}.md", group)
        self._messages()
        self.put(INDEX, self._index())
        for path in mirrored:
            if path not in self.made and (self._since is None or path.startswith("blocks/")):
                self.checkout.remove(path)
                self.removed.add(path)

    def put(self, path: str, text: str) -> None:
        self.made.add(path)
        if self.checkout.write(path, text):
            self.written.add(path)

    def there(self, path: str) -> str:
        """A page as it was mirrored; empty where there is none."""
        return (self._before[path] if path in self._before else self.checkout.page(path)) or ""

    def _blocks(self) -> None:
        for name, block in self._memory.blocks.items():
            self.put(f"blocks/{pages.block_stem(name)}.md", pages.block_page(name, block.text))

    # Facts

    def _groups(self) -> dict[str, _Group]:
        """The pages of facts that are to be made."""
        groups: dict[str, _Group] = {}
        if self._since is None:
            for row in self._rows(0, self._log.counted("facts")):
                self._join(groups, row)
            return groups
        for row in self._rows(self._since.facts + 1, self._log.counted("facts")):
            self._join(groups, row)
        retired = self._memory.journal.keys(self._memory.run_id, "retired")[self._since.retired :]
        for id_ in retired:
            for row in self._of_id(id_):
                self._join(groups, row)
        return groups

    def _join(self, groups: dict[str, _Group], row: _Row) -> None:
        stem = pages.stem_of(row.subject) if row.subject else row.month
        if stem not in groups:
            groups[stem] = self._begun(stem, row)
        groups[stem].add(row)

    def _begun(self, stem: str, row: _Row) -> _Group:
        """A page of facts, with what stood on it before where pages follow from what is new."""
        title = row.subject or ("Said at no known time" if row.month == "undated" else f"Said in {row.month}")
        group = _Group(title=title, subject=row.subject or None)
        page = self.there(f"facts/{stem}.md") if self._since is not None else ""
        if page and row.subject:
            group.title = group.subject = pages.subject_in(page) or row.subject
        for id_ in pages.ids_in(page):
            for known in self._of_id(id_):
                group.add(known)
        return group

    def _of_id(self, id_: str) -> list[_Row]:
        fact = self._memory.fact(id_)
        return list(self._rows(fact.num, fact.num)) if fact is not None else []

    def _rows(self, first: int, last: int) -> Iterator[_Row]:
        """Facts by their numbers, both included, page by page."""
        base = self._log.base
        sql = (
            "SELECT num, slot, subject, attribute, moment FROM facts "
            "WHERE num BETWEEN ? AND ? ORDER BY num LIMIT 1000"
        )
        while first <= last and (rows := self._log.database.read(sql, (base + first, base + last))):
            for num, slot, subject, attribute, moment in rows:
                month = moment[:7] if moment[:4].isdigit() else "undated"
                in_slot = slot is not None and slot == facts.slot_of(self._log.num, subject, attribute)
                yield _Row(num - base, in_slot, subject, attribute, month)
            first = rows[-1][0] - base + 1

    def _facts(self, path: str, group: _Group) -> None:
        now: list[Known] = []
        before: list[tuple[list[Known], int]] = []
        for name in sorted(group.attributes):
            assert group.subject is not None
            versions = facts.versions(self._log, group.subject, group.attributes[name])
            now += [self._known(fact) for fact in versions if fact.now]
            past = [*_past(versions)][::-1]
            before.append(([self._known(fact, why) for fact, why in past[:_VERSIONS]], len(past)))
        alone = facts.of_nums(self._log, [self._log.base + num for num in sorted(group.alone)])
        now += [self._known(fact) for fact in alone if fact.now]
        gone = [fact for fact in alone if not fact.now and fact.state == "retired"][::-1]
        before.append(([self._known(fact, _retired(fact)) for fact in gone[:_VERSIONS]], len(gone)))
        if now or any(count for _, count in before):
            self.put(path, pages.facts_page(group.title, now, before))
        elif self.there(path):
            self.checkout.remove(path)
            self.removed.add(path)

    def _known(self, fact: Fact, ended: str = "") -> Known:
        line = self._log.line(fact.message) if fact.message else None
        known = Known(
            id=fact.id, attribute=fact.attribute, value=fact.value or fact.text, at=fact.at or "", ended=ended
        )
        if not fact.attribute:
            known = replace(known, value=fact.text)
        elif fact.origin != "hand":
            known = replace(known, said=fact.text)
        if line is None:
            return replace(known, who="by hand" if fact.origin == "hand" else "")
        return replace(known, who=f"said by {line.who}", link=f"../{_page_of(line)}#{pages.shown_id(line.id)}")

    # Messages

    def _messages(self) -> None:
        book = _Book(self, anew=self._since is None)
        for line in self._log.between((self._since.messages if self._since else 0) + 1, len(self._log)):
            book.add(line, self._section(line))
        book.close()

    def _section(self, line: Line) -> str:
        text = self._log.text(line.place, 0, min(line.chars, pages.SHOWN_CHARS))
        said = Said(id=line.id, who=line.who, when=line.at or "", text=text, more=line.chars - len(text))
        return pages.message_section(said)

    # The index

    def _index(self) -> str:
        latest = facts.now(self._log, _LISTED)
        subjects = dict.fromkeys((pages.stem_of(fact.subject), fact.subject) for fact in latest if fact.subject)
        days = dict.fromkeys(_page_of(line) for line in reversed(self._log.last(_LISTED)))
        blocks = self._memory.blocks.values()
        return pages.index_page(
            self._memory.name,
            messages=len(self._log),
            blocks=[(pages.block_stem(one.name), one.name, one.description, one.limit_tokens) for one in blocks],
            subjects=list(subjects)[:_NAMED],
            days=list(days)[:_NAMED],
            more_subjects=len(subjects) > _NAMED or len(latest) == _LISTED,
            more_days=len(days) > _NAMED or len(self._log) > _LISTED,
        )


class _Book:
    """Pages of messages, each held until it is full or the book is closed. `anew`: what lies there is not gone on
    with, but for what this book has written itself."""

    def __init__(self, contents: Contents, *, anew: bool) -> None:
        self._contents, self._anew = contents, anew
        self._parts: dict[str, int] = {}
        self._held: dict[str, list[str]] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0  # characters that were added since all was written

    def add(self, line: Line, section: str) -> None:
        first = _page_of(line)
        if first not in self._held:
            self._open(first)
        if self._sizes[first] > _PAGE_CHARS and line.moment:
            self._write(first)
            self._parts[first] += 1
            self._begin(first, pages.messages_head(_title(first)))
        self._held[first].append(section)
        self._sizes[first] += len(section)
        self._total += len(section)
        if self._total > _HELD_CHARS:
            self.close()
            self._total = 0

    def close(self) -> None:
        for first in list(self._held):
            self._write(first)

    @staticmethod
    def _nothing(_: str) -> None:
        return None

    def _begin(self, first: str, text: str) -> None:
        self._held[first], self._sizes[first] = [text], len(text)

    def _write(self, first: str) -> None:
        self._contents.put(_part(first, self._parts[first]), "".join(self._held.pop(first)))
        del self._sizes[first]

    def _open(self, first: str) -> None:
        there: Callable[[str], str | None] = self._contents.checkout.page
        if first not in self._parts:
            self._parts[first] = 1
            there = self._nothing if self._anew else self._contents.there
            while there(_part(first, self._parts[first] + 1)):
                self._parts[first] += 1
        self._begin(first, there(_part(first, self._parts[first])) or pages.messages_head(_title(first)))


def _page_of(line: Line) -> str:
    day = line.moment[:10]
    if len(day) == 10 and day[:4].isdigit():
        return f"messages/{day[:4]}/{day}.md"
    first = (line.place - 1) // _PLACES * _PLACES + 1
    return f"messages/{first:07}-{first + _PLACES - 1:07}.md"


def _part(first: str, number: int) -> str:
    return first if number == 1 else f"{first.removesuffix('.md')}-{number}.md"


def _title(first: str) -> str:
    stem = first.rsplit("/", 1)[-1].removesuffix(".md")
    return stem if first.count("/") == 2 else f"Messages {int(stem[:7]):,} to {int(stem[8:]):,}"


def _past(versions: list[Fact]) -> Iterator[tuple[Fact, str]]:
    """The versions of a fact that hold no longer, oldest first, and why."""
    for fact, later in zip(versions, [*versions[1:], None], strict=True):
        if fact.state == "retired":
            yield fact, _retired(fact)
        elif not fact.now and fact.state == "live":
            yield fact, f"until {later.at}" if later is not None and later.at else "replaced"


def _retired(fact: Fact) -> str:
    return f"retired: {fact.reason}" if fact.reason else "retired"


__all__ = ["Contents", "Cursor"]
