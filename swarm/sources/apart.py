"""Reading in a process of its own: what a parser of binary formats takes of memory and time has an end.

A few kilobytes can make such a parser fill any memory, and some of its failures end the process. So it works in
one that has a limit, has none of our environment, and is handed nothing but the open file. It stays for the next
document, and goes when we go. Where the system cannot hand a file over (Windows), documents are read right here.
This module knows processes, not formats.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import IO, Any

from swarm.sources.original import Unreadable
from swarm.sources.units import Unit

MEMORY_BYTES = 1 << 30
"""Of address space, the interpreter and the parser included."""
PATIENCE_SECONDS = 60.0
"""Without a page, or of computing for one document times two."""
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from swarm.sources.apart import serve; serve(int(sys.argv[2]), *sys.argv[3:])"
)

Read = Callable[[IO[bytes]], Iterator[Unit]]


class Apart:
    """Reads documents with the function `name` of `module`, one at a time. Not for two threads at once."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def units(self, stream: IO[bytes]) -> Iterator[Unit]:
        """The units of one document.

        Raises:
            Unreadable: what the reader says, or it needs more memory or time than there is for one document.
        """
        if not hasattr(socket, "send_fds") or not sys.executable:
            read: Read = getattr(import_module(self._module), self._name)
            yield from read(stream)
            return
        good = False  # for another document
        try:
            for told in self._told(stream):
                if "unit" in told:
                    text, cut, context, kind, title, marks = told["unit"]
                    yield Unit(text, cut, context, kind, title, tuple((at, place) for at, place in marks))
                    continue
                good = not told["full"]
                if "broken" in told:
                    raise RuntimeError(told["broken"])
                if "unreadable" in told:
                    raise Unreadable(told["unreadable"], lasting=told["lasting"])
                return
            raise ConnectionResetError
        except TimeoutError:
            raise Unreadable(f"too large: to read it takes more than {PATIENCE_SECONDS:.0f} seconds") from None
        except ConnectionError:  # it went in the middle of things
            raise Unreadable(
                f"too large: to read it takes more than {MEMORY_BYTES >> 20} MB of memory", lasting=True
            ) from None
        finally:
            if not good:
                self.close()

    def close(self) -> None:
        """End the process; the next document begins another."""
        process, self._process = self._process, None
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()
        if process is not None:
            with suppress(OSError):
                process.kill()
            process.wait()

    def _told(self, stream: IO[bytes]) -> Iterator[dict[str, Any]]:
        """What the process says of a document, as `_tell` puts it. It says nothing any more when it died."""
        if self._process is None or self._process.poll() is not None or self._socket is None:
            self.close()
            self._begin()
        assert self._socket is not None
        with _as_file(stream) as file:
            socket.send_fds(self._socket, [b"!"], [file.fileno()])
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    yield json.loads(line)

    def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            paths = json.dumps([path or os.getcwd() for path in sys.path])  # noqa: PTH109 - as the interpreter means ""
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-I", "-c", _START, paths, str(theirs.fileno()), self._module, self._name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={},
            )
        ours.settimeout(PATIENCE_SECONDS)
        self._socket = ours
        atexit.unregister(self.close)
        atexit.register(self.close)


def _as_file(stream: IO[bytes]) -> IO[bytes]:
    """The stream as a file of the operating system, from its beginning; what is closed with it is our copy."""
    file: IO[bytes]
    try:
        file = os.fdopen(os.dup(stream.fileno()), "rb")
    except io.UnsupportedOperation:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        shutil.copyfileobj(stream, file)
        file.flush()
    file.seek(0)
    return file


def serve(descriptor: int, module: str, name: str) -> None:
    """In the process apart: read one document after the other, until nobody asks any more."""
    _limit_memory()
    with socket.socket(fileno=descriptor) as connection:
        while True:
            message, files, _, _ = socket.recv_fds(connection, 1, 1)
            if not message or not files:
                return
            _limit_time()
            with os.fdopen(files[0], "rb") as file, connection.makefile("wb") as out:
                for told in _tell(getattr(import_module(module), name), file):
                    out.write(json.dumps(told).encode() + b"\n")
                    out.flush()


def _tell(read: Read, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Units, and in the end how it went. `full`: so much memory was taken that another document would suffer."""
    end: dict[str, Any] = {}
    try:
        for unit in read(file):
            yield {"unit": unit}
    except Unreadable as error:
        end = {"unreadable": str(error), "lasting": error.lasting}
    except MemoryError:
        sys.exit(1)  # as if it had ended the process: what it holds is not to be trusted
    except Exception as error:
        end = {"broken": repr(error)[:200]}
    yield {**end, "full": _taken_bytes() > MEMORY_BYTES // 4}


def _taken_bytes() -> int:
    import resource

    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return taken if sys.platform == "darwin" else taken << 10


def _limit_memory() -> None:
    import resource

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time() -> None:
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = int(used.ru_utime + used.ru_stime + 2 * PATIENCE_SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
