"""`swarm workers`: which machines work for a store, what each is at, and how much there is for them; and asking
them to drain.

`swarm worker` is one of them. What they say of themselves is in the store; here it is read and printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.cli.plain import number, one_line, plural, seconds
from swarm.errors import UsageError

if TYPE_CHECKING:
    from swarm.store.claims import Claims
    from swarm.store.machines import Machines, Seen
    from swarm.store.postgres_machines import PostgresMachines

_EVERY_SECONDS = 2.0
_ID = 12  # characters of a slice's
_NOTE = 200
_OTHER = " *"
_HEAD = ("worker", "host", "pid", "version", "slices", "memory", "done", "state")
_NUMBERS = [place for place, name in enumerate(_HEAD) if name in ("pid", "slices", "memory", "done")]

_Store = Annotated[str | None, typer.Option("--store", metavar="URL", help="The store that they work for.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Watch = Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")]
_Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME...", show_default=False, help="Workers, by their ids or hosts."),
]
_All = Annotated[bool, typer.Option("--all", help="All of them.")]

workers = typer.Typer(
    invoke_without_command=True,
    no_args_is_help=False,
    subcommand_metavar="[COMMAND] [ARGS]...",
    help="Who works for a store, and at what; ask workers to drain.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How many slices of a run are offered to workers, claimed by them, and handed in but not yet taken."""

    run: str
    offered: int
    claimed: int
    handed: int


Told = tuple[list["Seen"], list[Waiting]]


@workers.callback()
def listed(context: typer.Context, store: _Store = None, as_json: _Json = False, watch: _Watch = False) -> int:
    """Say who works for a store, alive or silent, and at which slices; and what waits for them."""
    context.obj = store
    if context.invoked_subcommand:
        return 0
    if not _on_server(store):
        return _none(store, as_json)
    with _looking(str(store)) as (machines, claims):
        if watch:
            return _watched(machines, claims, as_json)
        _print(look(machines, claims), as_json)
    return 0


@workers.command()
def drain(
    context: typer.Context,
    names: _Names = None,
    every: _All = False,
    store: _Store = None,
    as_json: _Json = False,
) -> int:
    """Ask workers to begin nothing more, finish what they are at, and leave."""
    store = store or context.obj
    if bool(names) == every:
        raise UsageError("name the workers that are to drain, or say --all")
    if not _on_server(store):
        raise UsageError(_no_workers(store))
    with _machines(str(store)) as machines:
        asked = machines.drain(_ids(machines.seen(), names or (), str(store)))
    if as_json:
        from swarm.cli.document import dumps

        sys.stdout.write(f"{dumps({'asked': asked})}\n")
    else:
        said = ", ".join(one_line(id_) for id_ in asked)
        sys.stdout.write(f"asked {plural(len(asked), 'worker')} to drain{': ' if asked else ''}{said}\n")
    return 0


def look(machines: Machines, claims: Claims) -> Told:
    """Who is there, and what waits, as the store tells it."""
    waiting = []
    for run in claims.runs():
        states = [one.state for one in claims.standings(run)]
        counts = {state: states.count(state) for state in ("offered", "claimed", "handed")}
        waiting.append(Waiting(run=run, **counts))
    return machines.seen(), waiting


# Opening


def _on_server(store: str | None) -> bool:
    from swarm.store.opening import is_url

    return store is not None and is_url(store)


def _no_workers(store: str | None) -> str:
    from swarm.store.opening import shown

    return f"{shown(store)} is a file, and no worker works for a file: name a server, --store postgresql://..."


def _none(store: str | None, as_json: bool) -> int:
    if as_json:
        _print(([], []), as_json)
    else:
        sys.stdout.write(f"{_no_workers(store)}\n")
    return 0


@contextmanager
def _looking(url: str) -> Iterator[tuple[Machines, Claims]]:
    """Without the journal and the file beside it: nothing of a run is read."""
    from swarm.store.postgres_claims import PostgresClaims

    with _machines(url) as machines, closing(PostgresClaims(url)) as claims:
        yield machines, claims


def _machines(url: str) -> closing[PostgresMachines]:
    from swarm.store.postgres_machines import PostgresMachines

    return closing(PostgresMachines(url))


def _ids(seen: Sequence[Seen], names: Sequence[str], store: str) -> list[str]:
    """The ids of the workers that are named: by an id, the beginning of one, or a host.

    Raises:
        UsageError: a name is nobody's, or the beginning of several ids.
    """
    from swarm.store.opening import shown

    found: list[str] = []
    for name in names:
        exact = [one.id for one in seen if name in (one.id, one.host)]
        alike = exact or [one.id for one in seen if one.id.startswith(name)]
        if not alike:
            raise UsageError(f"no worker of {shown(store)} is called {one_line(name)}: swarm workers lists them")
        if not exact and len(alike) > 1:
            raise UsageError(f"{len(alike)} workers begin with {one_line(name)}: write more of the id")
        found += alike
    return found


# Printing


def _watched(machines: Machines, claims: Claims, as_json: bool) -> int:
    """Again and again: on a terminal in one place, elsewhere whenever something changed."""
    try:
        if sys.stdout.isatty() and not as_json:
            _on_screen(machines, claims)
        before: object = None
        while True:
            told = look(machines, claims)
            if (now := _standing(told)) != before:
                _print(told, as_json)
                sys.stdout.write("" if as_json else "\n")
                sys.stdout.flush()
            before = now
            time.sleep(_EVERY_SECONDS)
    except KeyboardInterrupt:
        return 130


def _on_screen(machines: Machines, claims: Claims) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(screen=True, auto_refresh=False) as live:
        while True:
            text = Text("\n".join(lines(look(machines, claims))), no_wrap=True, overflow="ellipsis")
            live.update(text, refresh=True)
            time.sleep(_EVERY_SECONDS)


def _standing(told: Told) -> object:
    """All that is worth a new picture: not how time goes by."""
    seen, waiting = told
    return [
        (one.id, one.life, one.draining, one.done, one.note, [(doing.run, doing.ref) for doing in one.doing])
        for one in seen
    ], waiting


def _print(told: Told, as_json: bool) -> None:
    if as_json:
        from swarm.cli.document import dumps

        sys.stdout.write(f"{dumps(document(told))}\n")
        return
    for line in lines(told):
        sys.stdout.write(f"{line}\n")


def document(told: Told) -> dict[str, Any]:
    seen, waiting = told
    here = _version()
    return {
        "workers": [
            {
                "id": one.id, "host": one.host, "pid": one.pid, "version": one.version,
                "other_version": one.version != here, "places": one.places, "used": len(one.doing),
                "memory_bytes": one.memory, "done": one.done, "state": one.life, "draining": one.draining,
                "silent_s": round(one.ago, 3), "started": one.started, "note": _note(one) or None,
                "doing": [{"run": doing.run, "slice": doing.ref, "seconds": doing.seconds} for doing in one.doing],
            }
            for one in seen
        ],
        "runs": [asdict(one) for one in waiting],
    }  # fmt: skip


def lines(told: Told) -> Iterator[str]:
    """A table of workers, each with what it is at below it; then what waits, by runs."""
    seen, waiting = told
    here = _version()
    if not seen:
        yield "no worker is there: start some with swarm worker --store, on any machine"
    else:
        head, *rows = _aligned([_HEAD, *(_row(one, here) for one in seen)], right=_NUMBERS)
        yield head
        for one, row in zip(seen, rows, strict=True):
            yield row
            yield from _below(one)
    if any(one.version != here for one in seen):
        yield f"{_OTHER.strip()} another version than this one, which is {here}"
    if waiting:
        yield ""
        yield from _aligned([("run", "offered", "claimed", "handed in"), *map(_counts, waiting)], right=(1, 2, 3))


def _counts(one: Waiting) -> tuple[str, ...]:
    return one_line(one.run), f"{one.offered:,}", f"{one.claimed:,}", f"{one.handed:,}"


def _row(one: Seen, here: str) -> tuple[str, ...]:
    return (
        one_line(one.id), one_line(one.host), str(one.pid),
        one_line(one.version, 20) + (_OTHER if one.version != here else ""), f"{len(one.doing):,}/{one.places:,}",
        f"{number(one.memory)}B" if one.memory else "", f"{one.done:,}", _state(one),
    )  # fmt: skip


def _state(one: Seen) -> str:
    said = "alive" if one.life == "alive" else f"{one.life}, said nothing for {seconds(one.ago)}"
    return f"{said}, draining" if one.draining else said


def _below(one: Seen) -> Iterator[str]:
    for doing in one.doing:
        yield f"  {one_line(doing.run)}  {one_line(doing.ref)[:_ID]}  {seconds(doing.seconds + one.ago)}"
    if note := _note(one):
        yield f"  {note}"


def _note(one: Seen) -> str:
    from swarm.observe.log import redact_text

    return one_line(redact_text(one.note), _NOTE)


def _aligned(rows: Sequence[tuple[str, ...]], right: Sequence[int]) -> list[str]:
    """Columns, those of numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _version() -> str:
    from importlib.metadata import version

    return version("swarm-memory")
