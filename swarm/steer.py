"""Telling a run something from another process: to pause, to go on, to stop, to heed an instruction.

    told = swarm.steer.tell("last", "steer", text="Leave the appendices out.")
    print(told.taken)

A run that is at work takes a request within a second or so. This module looks into a store that others write to,
and leaves the request in its mailbox; what becomes of it is the run's business.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from swarm.coordinator.records import corpus_of, slices_of
from swarm.coordinator.work.state import order_id
from swarm.errors import UsageError
from swarm.history import find, status_of
from swarm.store.journal import Journal
from swarm.store.mailbox import Mailbox, Request, What, request
from swarm.store.opening import Store, open_mailbox, open_store

PATIENCE_SECONDS = 3.0
"""How long a run that is at work is waited for: it looks twice a second, but not while it reads files in."""
_LOOK_SECONDS = 0.02
_NAMED = 5
_BEGINNING = 6  # characters of an id that are enough to be taken for its beginning
_OF_THOSE_AT_WORK = ("pause", "go_on", "stop")
_DO = {"pause": "pause", "go_on": "go on with here", "stop": "stop"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was asked of which run. `at_work`: a process is at it; `taken`: it has recorded the request by now. An
    instruction that is not taken waits until the run goes on."""

    run: str
    id: str
    at_work: bool
    taken: bool


def tell(
    name: str,
    what: What,
    *,
    text: str = "",
    slice_name: str = "",
    store: str | Path | None = None,
    seconds: float = PATIENCE_SECONDS,
) -> Told:
    """Ask something of a run, which is named as for `swarm.history.find`, and wait for so many seconds until it
    was taken. `steer` has a `text`; `cancel` has the name of a slice, which may be its id, the beginning of it,
    the name of its order, or the item of a table that it is about.

    Raises:
        StoreError: there is no such store, or no such run in it.
        UsageError: several runs or slices are named so, the run is over, nobody is at a run that is to pause, go
            on or stop, or the instruction is empty or too long.
    """
    run = find(name, store)
    with open_store(store, read_only=True) as opened:
        session, at_work = _standing(opened, run, what)
        slice_ = _slice(opened.journal, run, slice_name) if what == "cancel" else ""
    asked = request(what, text=text, slice_=slice_, session=session if what in _OF_THOSE_AT_WORK else 0)
    with closing(open_mailbox(store)) as mailbox:
        mailbox.post(run, asked)
        return Told(run=run, id=asked.id, at_work=at_work, taken=at_work and _taken(mailbox, run, asked, seconds))


def is_paused(run: str, store: str | Path | None = None) -> bool:
    """Whether a process is at this run, and it is paused or about to be.

    Raises:
        StoreError: there is no such store.
    """
    with open_store(store, read_only=True) as opened:
        journal = opened.journal
        session = journal.latest(run, "session")
        status, _ = status_of(journal, run, session, journal.latest(run, "answer"))
    if status != "running":
        return status == "paused"
    with closing(open_mailbox(store)) as mailbox:
        last = [one.what for one in mailbox.waiting(run) if one.what in _OF_THOSE_AT_WORK][-1:]
        return last == ["pause"]


def _standing(opened: Store, run: str, what: What) -> tuple[int, bool]:
    """How often a run began or went on, and whether somebody is at it."""
    session = opened.journal.latest(run, "session")
    status, _ = status_of(opened.journal, run, session, opened.journal.latest(run, "answer"))
    if status in ("answered", "no_evidence"):
        raise UsageError(f"the run {run} is over and has its answer: ask anew")
    at_work = status in ("running", "paused")
    if not at_work and what in _OF_THOSE_AT_WORK:
        raise UsageError(f"no process is at the run {run}: there is nothing to {_DO[what]}")
    return int(session.key) if session is not None else 0, at_work


def _taken(mailbox: Mailbox, run: str, asked: Request, seconds: float) -> bool:
    """Whether a request is gone from the mailbox, sooner or later."""
    until = time.monotonic() + seconds
    while mailbox.holds(run, asked.id):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _slice(journal: Journal, run: str, name: str) -> str:
    found = list(dict.fromkeys(_named(journal, run, name)))
    if len(found) > 1:
        some = ", ".join(id_[:12] for id_ in found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        raise UsageError(f"{name} may be any of {len(found)} slices ({some}): give more of an id")
    if not found:
        raise UsageError(f"the run {run} has no slice {name}: give its id, its name, or its item in a table")
    return found[0]


def _named(journal: Journal, run: str, name: str) -> Iterable[str]:
    """The ids of the slices that may be meant."""
    order = journal.record(run, "slice", name)
    if order is not None and "objective" in order.body:
        return [order_id(name)]
    corpus = corpus_of(journal, run)
    known = list(slices_of(journal, run, corpus)) if corpus is not None else []
    orders = (record.key for record in journal.records(run, "slice") if "objective" in record.body)
    ids = [*(one.id for one in known), *map(order_id, orders)]
    if name in ids:
        return [name]
    begin = [id_ for id_ in ids if id_.startswith(name)] if len(name) >= _BEGINNING else []
    return begin or [one.id for one in known if name and one.item == name]
