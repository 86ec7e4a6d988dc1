"""The processes of a command: which there are, and how much memory they hold together.

Read from /proc; where there is none (macOS), from `ps`. Processes come and go while one looks: a look is never
exact, and one that is gone counts as nothing. Nothing is ended here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
THREADS_EACH = 4
"""Threads for each process that is allowed: interpreters and linear algebra start one for each core."""


_OVER = (b"Z", b"X")  # ended, and not fetched by its parent


class Process(NamedTuple):
    parent: int
    session: int
    """Its session; its process group where `ps` was asked."""
    threads: int = 1
    resident_bytes: int = 0  # 0 where /proc was asked: it is looked at later, and only for those that matter


def below(root: int, most: int) -> list[int]:
    """The processes that descend from `root`, without it. The search ends where more than `most` are found, or
    far more threads: then zeros stand for them."""
    if not _children_are_told():
        there = everything()
        return _with_threads(_descending([root], there), there, most)
    found: list[int] = []
    waiting, threads = [root], 0
    while waiting and len(found) <= most:
        pid = waiting.pop()
        try:
            tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - as `_read`
        except OSError:
            continue
        threads += len(tasks)
        if threads > THREADS_EACH * most:
            return [*found, *_stand_ins(found, most)]
        for task in tasks:
            with suppress(OSError, ValueError):
                children = [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
                found += children
                waiting += children
    return found


def of_session(session: int, most: int) -> list[int]:
    """The processes of a session, and those that descend from one of them. Far more threads than `most` processes
    should have are told as in `below`."""
    there = everything()
    own = [pid for pid, process in there.items() if process.session == session]
    return _with_threads(own + _descending(own, there), there, most)


def marked(word: str) -> list[int]:
    """The processes whose environment holds `word` as one of its variables (`NAME=value`), as far as it may be
    read: they inherited it, wherever they went since. None where there is no /proc."""
    wanted = word.encode()
    found = []
    for pid in _pids():
        with suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def resident_bytes(pids: Iterable[int]) -> int:
    """What they hold in memory; a page that several share counts for each of them."""
    if not _has_proc():
        there = everything()
        return sum(there[pid].resident_bytes for pid in pids if pid in there)
    return sum(_resident(pid) for pid in pids)


def shared_out_bytes(pids: Iterable[int]) -> int:
    """The same, with shared pages divided among those that share them. Takes far longer to find out."""
    if not _has_proc():
        return resident_bytes(pids)
    return sum(_proportional(pid) for pid in pids)


def everything() -> dict[int, Process]:
    """Every process of this machine that can be seen and has not ended."""
    if not _has_proc():
        return _asked_of_ps()
    there = {}
    for pid in _pids():
        with suppress(OSError, ValueError, IndexError):
            # the name stands in brackets and may hold anything, brackets too
            fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            if fields[0] not in _OVER:
                there[pid] = Process(parent=int(fields[1]), session=int(fields[3]), threads=int(fields[17]))
    return there


def _asked_of_ps() -> dict[int, Process]:
    told = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,rss="],  # noqa: S607 - where it lies differs
        capture_output=True,
        check=False,
        timeout=10,
    )
    there = {}
    for line in told.stdout.splitlines():
        with suppress(ValueError):
            pid, parent, group, kilobytes = (int(word) for word in line.split())
            there[pid] = Process(parent, group, resident_bytes=kilobytes << 10)
    return there


def _with_threads(pids: list[int], there: dict[int, Process], most: int) -> list[int]:
    too_many = sum(there[pid].threads for pid in pids) > THREADS_EACH * most
    return [*pids, *(_stand_ins(pids, most) if too_many else ())]


def _stand_ins(found: list[int], most: int) -> list[int]:
    return [0] * (most + 1 - len(found))


def _descending(roots: Iterable[int], there: dict[int, Process]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, process in there.items():
        children.setdefault(process.parent, []).append(pid)
    seen = set(roots)
    waiting, found = list(seen), []
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in seen:
                seen.add(child)
                found.append(child)
                waiting.append(child)
    return found


def _resident(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    return _resident(pid)  # it may not be looked into: then at what it comes to at the most


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hundreds of times a look
        return file.read()


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - as `_read`
    except OSError:
        return []


@cache
def _has_proc() -> bool:
    return Path("/proc/self/stat").exists()


@cache
def _children_are_told() -> bool:
    """Whether the kernel lists the children of a process: most do, and it can be left out of one."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()
