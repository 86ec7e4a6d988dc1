"""Python that has its libraries loaded already: what runs an example takes its first second from here.

    python tests/docs/warm.py FOLDER

loads what is loaded for nearly everything, and writes a `swarm` and a `python` into the folder. Each of these
asks here for a process of its own, which is forked with the arguments, folder, environment and files of who
asked, and ends as a Python that was started would: most of the CPU of an example went into loading the same
libraries again. Nothing of Swarm is loaded beforehand. A Python that is asked for in another way than for a
text, a file or a module is started as ever.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import types
import warnings
from pathlib import Path
from typing import Any

LIBRARIES = (
    "anthropic", "apsw", "dateutil.parser", "fastjsonschema", "filelock", "langchain_core.tools",
    "langgraph.graph", "networkx", "numpy", "openai", "pyrate_limiter", "rich.console", "structlog", "tenacity",
    "typer",
)  # fmt: skip
SOCKET = "asked"
CLIENT = """\
#!{python} -IS
import array, json, os, signal, socket, sys
ahead, arguments = {ahead!r}, sys.argv[1:]
rest = arguments[2:] if arguments[:1] == ["-W"] else arguments
if not ahead and not (rest and (rest[0] in ("-c", "-m") or rest[0][0] != "-")):
    os.execv({python!r}, [{python!r}, *arguments])
asked = json.dumps([ahead + arguments, os.getcwd(), dict(os.environ)]).encode()
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
files = array.array("i", [0, 1, 2])
server.sendmsg([len(asked).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
server.sendall(asked)
told = server.makefile()
process = int(told.readline())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(process, number))
code = int(told.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


def commands(folder: Path) -> None:
    """Write the commands that ask. The real `swarm` lies beside the real Python."""
    real = Path(sys.executable)
    for name, ahead in (("python", []), ("python3", []), ("swarm", [str(real.with_name("swarm"))])):
        command = folder / name
        command.write_text(CLIENT.format(python=str(real), ahead=ahead, path=str(folder / SOCKET)))
        command.chmod(0o755)


def asked(folder: Path) -> list[str]:
    """Wait for those who ask; returns only in a process that was forked for one, with its arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / SOCKET))
        server.listen(64)
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            if os.fork() == 0:
                break
            client.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, files, _, _ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb") as told:
        arguments, folder, environment = json.loads(told.read(int.from_bytes(length, "big")))
    process = os.fork()
    if process:
        _wait(process, client, files)
    client.close()
    _become(folder, environment, files)
    return arguments


def _wait(process: int, client: socket.socket, files: list[int]) -> None:
    """Tell who asked how it ended; if nobody wants to know any more, end it."""
    for file in (*files, 0, 1):
        os.close(file)
    client.sendall(b"%d\n" % process)
    ended = os.pidfd_open(process)
    ready, _, _ = select.select([ended, client], [], [])
    if ended not in ready:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    try:
        client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _become(folder: str, environment: dict[str, str], files: list[int]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for name, number in (("stdout", 1), ("stderr", 2)):
        line = number == 2 or os.isatty(number)
        setattr(sys, name, open(number, "w", encoding="utf-8", buffering=1 if line else -1, closefd=False))  # noqa: SIM115
        setattr(sys, f"__{name}__", getattr(sys, name))


def _run(arguments: list[str]) -> None:
    """As Python runs its arguments."""
    if arguments[0] == "-W":
        warnings.simplefilter(arguments[1])  # type: ignore[arg-type]
        arguments = arguments[2:]
    if arguments[0] == "-c":
        main: Any = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), vars(main))
    elif arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # nobody looks through it again, and so it stays shared
    place = Path(sys.argv[1])
    commands(place)
    _run(asked(place))
