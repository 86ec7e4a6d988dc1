"""How another process tells a run something, while the run has its store to itself.

Each request is a file of its own in a folder beside the store, `swarm.db.mail/RUN/`: written whole and then named,
so that whoever looks finds all of it or nothing. The run looks about twice a second, in one listing, records what
it finds, and deletes it. For a store on PostgreSQL `postgres_mailbox` does the same with a table. What is no
request is set aside, once, with a line in the log. This module does not know what the requests come to.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter, ValidationError

from swarm.errors import StoreError, UsageError
from swarm.observe.log import get_logger

log = get_logger("mailbox")

What = Literal["steer", "pause", "go_on", "stop", "cancel"]

LONGEST = 4_000
"""Characters of an instruction. It is shown to every judge from then on, beside all else that they are shown."""
MOST_BYTES = 64_000  # of a request, as it is kept: an instruction in which every character is escaped
AT_ONCE = 100
"""Requests that are taken in one look."""
_ID = re.compile(r"\d{19}-[0-9a-f]{8}")
_PLAIN = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # control characters, but for tabs and line ends
_TRIES = 50
_ASIDE, _UNFINISHED = ".aside", ".new"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a person asks of a run: to follow an instruction (`steer`, with its `text`), to `pause`, to `go_on`
    after that, to `stop`, or to `cancel` one `slice`, named by its id. Ids sort by the time of asking.

    `session` is the time that the run began or went on at which a request is meant, where it means one; 0 means
    whichever takes it. A run that goes on tomorrow does not pause because it was to pause today.
    """

    id: str
    what: What
    text: str = ""
    slice: str = ""
    session: int = 0


_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)


def request(what: What, *, text: str = "", slice_: str = "", session: int = 0) -> Request:
    """A new request.

    Raises:
        UsageError: an instruction that is empty or too long.
    """
    text = _UNSEEN.sub("", text).encode("utf-8", "replace").decode().strip()
    if what == "steer" and not text:
        raise UsageError("the instruction is empty: say what is to be done otherwise")
    if len(text) > LONGEST:
        raise UsageError(
            f"the instruction has {len(text):,} characters and may have {LONGEST:,}: say it shorter, or begin "
            "a run that is asked so"
        )
    id_ = f"{time.time_ns():019d}-{secrets.token_hex(4)}"
    return Request(id=id_, what=what, text=text, slice=slice_, session=session)


def to_bytes(asked: Request) -> bytes:
    return json.dumps(asdict(asked), separators=(",", ":")).encode()


def from_bytes(data: bytes, id_: str) -> Request:
    """A request as it was kept under this id.

    Raises:
        ValueError: it is none; the message says why.
    """
    if len(data) > MOST_BYTES:
        raise ValueError("it is too long")
    try:
        found = _REQUEST.validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ValueError(problem["msg"]) from None
    if found.id != id_ or not _ID.fullmatch(id_):
        raise ValueError("it is kept under another name")
    if len(found.text) > LONGEST or (found.what == "steer" and not found.text.strip()):
        raise ValueError("its instruction is empty or too long")
    return found


class Mailbox(Protocol):
    """Requests on their way to runs. For any thread, one at a time.

    Raises (any of its methods):
        StoreError: it cannot be reached or written.
    """

    def post(self, run: str, asked: Request) -> None:
        """Leave a request for a run, durably."""

    def waiting(self, run: str) -> list[Request]:
        """What waits for a run, in the order of asking, `AT_ONCE` at the most."""

    def holds(self, run: str, id_: str) -> bool:
        """Whether a request waits still."""

    def remove(self, run: str, id_: str) -> None:
        """Forget a request: it was taken. One that is gone is no error."""

    def clear(self, run: str) -> None:
        """Forget all that was left for a run, also what was set aside."""

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""


class FileMailbox:
    """The mailbox beside a store that is a file."""

    def __init__(self, store: Path) -> None:
        self._folder = store.with_name(f"{store.name}.mail")
        self._stuck: set[str] = set()
        """What could not be set aside: told once."""

    def post(self, run: str, asked: Request) -> None:
        folder = self._of(run)
        path = folder / f"{asked.id}.json"
        try:
            for left in reversed(range(_TRIES)):
                try:
                    for each in (self._folder, folder):
                        each.mkdir(exist_ok=True, mode=0o700)
                    _write(path, to_bytes(asked))
                    return
                except FileNotFoundError:  # who ended just now took the empty folders along
                    if not left:
                        raise
        except OSError as error:
            raise StoreError(f"{folder} cannot be written ({error.strerror}): see to it, and ask again") from None

    def waiting(self, run: str) -> list[Request]:
        folder = self._of(run)
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - a list of names, and nothing for each of them
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{folder} cannot be read ({error.strerror})") from None
        names = [name for name in names if not name.endswith((_ASIDE, _UNFINISHED)) and name not in self._stuck]
        found = (self._read(folder / name) for name in names[:AT_ONCE])
        return [asked for asked in found if asked is not None]

    def holds(self, run: str, id_: str) -> bool:
        return (self._of(run) / f"{id_}.json").exists()

    def remove(self, run: str, id_: str) -> None:
        path = self._of(run) / f"{id_}.json"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be deleted ({error.strerror})") from None

    def clear(self, run: str) -> None:
        shutil.rmtree(self._of(run), ignore_errors=True)
        self._tidy(self._folder)

    def close(self) -> None:
        """Folders that hold nothing any more go with it."""
        with suppress(OSError):
            for folder in list(self._folder.iterdir()):
                self._tidy(folder)
        self._tidy(self._folder)

    def _of(self, run: str) -> Path:
        plain = _PLAIN.fullmatch(run) is not None
        return self._folder / (run if plain else f"run-{blake2b(_id_bytes(run), digest_size=12).hexdigest()}")

    def _read(self, path: Path) -> Request | None:
        try:
            return from_bytes(_bytes_of(path), path.name.removesuffix(".json"))
        except FileNotFoundError:
            return None  # taken meanwhile
        except OSError as error:
            self._set_aside(path, error.strerror or "it cannot be read")
        except ValueError as error:
            self._set_aside(path, str(error))
        return None

    def _set_aside(self, path: Path, why: str) -> None:
        try:
            path.rename(path.with_name(f"{path.name[:200]}{_ASIDE}"))
        except OSError:
            self._stuck.add(path.name)
        log.warning("set aside what is no request", path=str(path), reason=why)

    @staticmethod
    def _tidy(folder: Path) -> None:
        with suppress(OSError):  # not empty, or not there
            folder.rmdir()


def _id_bytes(run: str) -> bytes:
    return run.encode("utf-8", "surrogatepass")


def _write(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all, and stays there when the machine goes down."""
    unfinished = path.with_name(f"{path.name}{_UNFINISHED}")
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            os.write(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # there are file systems on which a folder cannot be flushed
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _bytes_of(path: Path) -> bytes:
    """What a plain file holds, and a byte more than a request may have, at the most."""
    # not blocked by a pipe that somebody put there, nor led elsewhere by a link
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(file, MOST_BYTES + 1)
    finally:
        os.close(file)
