"""A PostgreSQL server that can be killed, all of it at once, and filled to the brim.

It notes when each transaction was committed, so that it can be told what was known when a request came.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psycopg

from swarm.testing.postgres import LocalPostgres

_SECONDS = 30.0


class Cluster(LocalPostgres):
    """See `LocalPostgres`."""

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                for setting in ("track_commit_timestamp = on", "max_connections = 300"):
                    connection.execute(f"ALTER SYSTEM SET {setting}")  # type: ignore[call-overload, unused-ignore]
            self.restart()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)

    @property
    def socket(self) -> str:
        """Where it listens."""
        return f"{self._folder}/.s.PGSQL.5432"

    @property
    def folder(self) -> Path:
        return self._folder

    def kill(self) -> None:
        """Kill -9, the server and all that serve."""
        server = self._process.pid
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGSTOP)  # it begins no more
        serving = _children(server)
        for pid in (*serving, server):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        end = time.monotonic() + _SECONDS
        while any(_alive(pid) for pid in serving):
            assert time.monotonic() < end
            time.sleep(0.005)

    def start(self) -> None:
        """Again, after `kill` or once it ended of itself."""
        if self._process.poll() is None:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            self.kill()
        self._start()


def database_of(url: str) -> str:
    """The name of the database at an address."""
    return urlsplit(url).path.lstrip("/")


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
