"""Built-in tools over the files of a worktree: list, read, search, edit, write, remove.

What keeps them inside the folder is `swarm/workspace/files.py`; this module words what is seen. A docstring is
what a model reads.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from typing import Annotated

from pydantic import Field

from swarm.equipment import Bounds, ToolFailed
from swarm.program import Place
from swarm.tools.surroundings import Surroundings
from swarm.workspace.files import Files, Hit

Where = Annotated[str, Field(min_length=1, max_length=4_096)]
Line = Annotated[int, Field(ge=1)]
_LINES = 2_000  # that are read at once, where nobody says how far
_SEARCH = Bounds(seconds=30.0, memory_bytes=1 << 30, processes=16, output_bytes=4 << 20)
_HITS = 200
_WIDEST = 300  # characters of a line that was found: all of them fit into what is kept of an output
_NUMBER = re.compile(r":(\d+)(?=:)")
_LINE_BYTES = 120_000  # of a command line: Linux takes 131,072 for one argument
_AROUND = 3  # lines before and after an edit that are shown with it


async def list_files(around: Surroundings, path: Where = ".", pattern: str = "") -> str:
    """List the files and folders below a folder of your workspace, those near the top first, 500 at the most.

    What .gitignore leaves out is not shown. Begin here when you do not know what there is.

    Args:
        path: the folder, from the top of the workspace
        pattern: only what this pattern matches, as in .gitignore: *.py, tests/**/test_*.py
    """
    _, files = await _files(around)
    found, more = await asyncio.to_thread(files.listed, path, pattern)
    if not found:
        return "nothing is there" if not pattern else f"nothing there matches {pattern}"
    return "\n".join([*found, *(["… and more: name a folder, or a pattern"] if more else [])])


async def read_file(around: Surroundings, path: Where, first: Line = 1, last: int | None = None) -> str:
    """Read a text file of your workspace, with the number of each line in front of it and a tab behind that.

    At most 2,000 lines at once, unless you say to which line. Long files you read in parts: search them first.

    Args:
        path: the file, from the top of the workspace
        first: the line to begin at
        last: the last line to show
    """
    _, files = await _files(around)
    content = await asyncio.to_thread(files.read, path)
    lines = _lines(content.text)
    if not lines:
        return f"{path} is empty"
    if first > len(lines):
        raise ToolFailed(f"{path} has only {len(lines)} lines")
    end = min(first + _LINES - 1 if last is None else max(last, first), len(lines))
    told = [f"{path}, lines {first} to {end} of {len(lines)}"]
    if not content.exact:
        told.append("(not all of it is UTF-8: what is not is shown as \N{REPLACEMENT CHARACTER})")
    return "\n".join([*told, *_numbered(lines, first, end)])


async def search_files(
    around: Surroundings,
    text: Annotated[str, Field(min_length=1, max_length=1_000)],
    path: Where = ".",
    regex: bool = False,
    ignore_case: bool = False,
) -> str:
    """Find the lines of your workspace's text files that hold a text, as path:line: text, 200 at the most.

    What .gitignore leaves out is not searched, and no link is followed.

    Args:
        text: what to look for, exactly as it stands there
        path: the folder or file to look in
        regex: whether `text` is an extended regular expression (grep -E)
        ignore_case: whether upper and lower case are the same
    """
    if "\n" in text or "\0" in text:
        raise ToolFailed("search for a part of one line: what is looked for cannot reach over several")
    place, files = await _files(around)
    if regex:
        found, more = await _grep(place, files, text, path, ignore_case)
    else:
        found, more = await asyncio.to_thread(files.search, text, path, ignore_case=ignore_case, most=_HITS)
    if not found:
        return f"nothing found{'; not all was looked at: name a folder' if more else ''}"
    lines = [f"{hit.path}:{hit.line}: {hit.text.strip()[:_WIDEST]}" for hit in found]
    return "\n".join([*lines, *(["… and more: name a folder, or search for something rarer"] if more else [])])


async def edit_file(around: Surroundings, path: Where, old: str, new: str) -> str:
    """Put a new text in the place of an old one in a file of your workspace. The old one must occur exactly once.

    Copy it from the file as it stands, indentation and all, without the numbers that read_file puts in front;
    where it occurs more often, take more of the lines around it. To take text out, give an empty new one.

    Args:
        path: the file, from the top of the workspace
        old: the text that stands there now
        new: the text that is to stand there
    """
    _, files = await _files(around)
    return await asyncio.to_thread(_edit, files, path, old, new)


async def write_file(around: Surroundings, path: Where, text: str) -> str:
    """Write a whole file of your workspace, a new one or in the place of an old one. Folders are made as needed.

    To change a part of a file use edit_file: it is shorter, and loses nothing by mistake.

    Args:
        path: the file, from the top of the workspace
        text: all that is to stand in it
    """
    _, files = await _files(around)
    new = await asyncio.to_thread(files.write, path, text)
    return f"{'made' if new else 'replaced'} {path}: {len(_lines(text))} lines"


async def remove_file(around: Surroundings, path: Where) -> str:
    """Remove a file, a link or an empty folder of your workspace.

    Args:
        path: the file, from the top of the workspace
    """
    _, files = await _files(around)
    await asyncio.to_thread(files.remove, path)
    return f"removed {path}"


async def _files(around: Surroundings) -> tuple[Place, Files]:
    if around.place is None:
        raise ToolFailed("there is no workspace here")
    place = await around.place()
    return place, Files(place.path, protected=around.protected)


async def _grep(place: Place, files: Files, pattern: str, path: str, ignore_case: bool) -> tuple[list[Hit], bool]:
    """By grep, in the sandbox: a pattern can be made to take for ever, and there it is ended."""
    grep = shlex.join(["grep", "-nHIE", *(["-i"] if ignore_case else []), "-e", pattern, "--"])
    hits: list[Hit] = []
    there = await asyncio.to_thread(files.texts, path)
    known = frozenset(there)
    for names in _batches(there):
        line = f"{grep} {names} | cut -c1-{_WIDEST} | head -n {_HITS + 1}"
        ran = await place.run(f"sh -c {shlex.quote(line)}", _SEARCH)
        found = [hit for line in _lines(ran.output) if (hit := _hit(line, known))]
        if not found and ran.output.startswith("grep: "):
            raise ToolFailed(f"grep does not take that: {ran.output.strip()[6:300]}")
        hits += found
        if len(hits) > _HITS or ran.ended:
            return hits[:_HITS], True
    return hits, False


def _hit(line: str, known: Collection[str]) -> Hit | None:
    """A line of grep's; a colon and a number may stand in the name of a file, too."""
    for number in _NUMBER.finditer(line):
        if (name := line[: number.start()].removeprefix("./")) in known:
            return Hit(path=name, line=int(number[1]), text=line[number.end() + 1 :])
    return None


def _batches(names: Iterable[str]) -> Iterator[str]:
    """Paths as a shell takes them, as many at once as fit into a command line."""
    batch: list[str] = []
    size = 0
    for name in names:
        quoted = shlex.quote(f"./{name}")
        if batch and size + len(quoted) > _LINE_BYTES // 4:  # a character may be four of them
            yield " ".join(batch)
            batch, size = [], 0
        batch.append(quoted)
        size += len(quoted) + 1
    if batch:
        yield " ".join(batch)


def _edit(files: Files, path: str, old: str, new: str) -> str:
    content = files.read(path)
    if not content.exact:
        raise ToolFailed(f"{path} is not UTF-8: change it with run_command")
    text = content.text
    if not old:
        raise ToolFailed("the old text is empty: give the text that the new one replaces, or use write_file")
    if old == new:
        raise ToolFailed("the new text is the old one: nothing would change")
    if old not in text and "\r\n" in text:  # nobody sees the difference in what read_file shows
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    at = text.find(old)
    if at < 0:
        raise ToolFailed(f"the old text does not stand in {path}{_nearest(text, old)}")
    if (second := text.find(old, at + 1)) >= 0:
        one, two = (text.count("\n", 0, place) + 1 for place in (at, second))
        often = max(text.count(old), 2)
        raise ToolFailed(
            f"the old text stands {often} times in {path}, first at lines {one} and {two}: "
            "take more of the lines around the one you mean"
        )
    after = text[:at] + new + text[at + len(old) :]
    files.write(path, after)
    begin = text.count("\n", 0, at) + 1
    end = max(begin, begin + new.count("\n") - new.endswith("\n"))
    lines = _lines(after)
    first, last = max(1, begin - _AROUND), min(len(lines), end + _AROUND)
    return "\n".join([f"changed {path}, now lines {begin} to {end}", *_numbered(lines, first, last)])


def _nearest(text: str, old: str) -> str:
    """Where something like it stands: what differs is mostly space, or a line that was remembered wrongly."""
    from difflib import get_close_matches

    wanted = next((line.strip() for line in old.splitlines() if line.strip()), "")
    lines = [line.strip() for line in _lines(text)]
    if not wanted:
        return ""
    if (same := next((n for n, line in enumerate(lines) if line == wanted), None)) is not None:
        return f": its first line stands at line {same + 1}; read from there and copy it exactly"
    bounded = {line[:_WIDEST] for line in lines[:20_000] if line}
    close = get_close_matches(wanted[:_WIDEST], sorted(bounded), n=1)
    if not close:
        return ": read the file and copy it exactly"
    number = next(n for n, line in enumerate(lines) if line[:_WIDEST] == close[0])
    return f": the nearest to its first line is line {number + 1}: {close[0]}"


def _lines(text: str) -> list[str]:
    """Split as editors number them, and as git does: by line feeds alone."""
    lines = text.removeprefix("\ufeff").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _numbered(lines: list[str], first: int, last: int) -> list[str]:
    return [f"{number}\t{lines[number - 1]}" for number in range(first, last + 1)]
