"""`swarm view`: a page in the browser that shows a run, live while it goes on.

On this machine alone, and for whoever has the address with its token. This module knows the command line, the
socket and the browser; what is shown is the business of `swarm/inspect/`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from typing import Annotated

import typer

HOST = "127.0.0.1"
_BACKLOG = 128

_Run = Annotated[
    str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, the beginning of it, or last.")
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Port = Annotated[
    int, typer.Option("--port", min=0, max=65_535, metavar="PORT", show_default=False, help="Any that is free.")
]
_NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open the browser.")]


def view(run: _Run, store: _Store = None, port: _Port = 0, no_open: _NoOpen = False) -> int:
    """Show a run in the browser: what it knows, what it does and what it cost. Ctrl-C ends it."""
    from swarm.inspect.data import ENDPOINTS
    from swarm.inspect.look import Look
    from swarm.inspect.opened import open_run
    from swarm.inspect.page.served import serve
    from swarm.observe.log import hide, to_stderr

    with open_run(run, store) as opened, _listening(port) as listening:
        look = Look(opened)
        ENDPOINTS["overview"](look)  # what is dear is at hand when the first page asks
        to_stderr(level=logging.WARNING)  # a mistake of ours is told there, and a page says no more than that
        token = secrets.token_urlsafe(32)
        hide(token)
        url = f"http://{HOST}:{listening.getsockname()[1]}/?token={token}"

        async def serving() -> None:
            ended = _at_a_signal()
            await serve(look, listening, token, ended, lambda: _tell(url, opens=not no_open))

        asyncio.run(serving())
    return 0


def _at_a_signal() -> asyncio.Event:
    """Set when somebody asks this process to end; who asks twice does not wait."""
    ended = asyncio.Event()

    def asked(number: int) -> None:
        if ended.is_set():
            os._exit(128 + number)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked, number)
    return ended


def _listening(port: int) -> socket.socket:
    from swarm.errors import UsageError

    try:
        return socket.create_server((HOST, port), backlog=_BACKLOG)
    except OSError as error:
        said = (error.strerror or str(error)).partition(" (while")[0].lower()
        free = "; without --port it takes a free one" if error.errno == errno.EADDRINUSE else ""
        raise UsageError(f"cannot listen on {HOST}:{port}: {said}{free}") from None


def _tell(url: str, *, opens: bool) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    if opens and sys.stdout.isatty() and _has_screen():
        import webbrowser

        # on a thread of its own: some browsers are waited for
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _has_screen() -> bool:
    """Whether a browser would have a window of its own, and not take the terminal."""
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
