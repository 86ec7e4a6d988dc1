"""A server on a loopback address: what is there for tests derives from this and says what it answers.

This module knows ASGI and how a server is run; it knows no format.
"""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType
from typing import Any, Self

from swarm.testing.exchange import Receive, Scope, Send


class Loopback:
    """A server on a thread of its own, from `with` to the end of its block; `url` is where it is."""

    url = ""

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    def server(self, port: int = 0) -> tuple[Any, socket.socket]:
        """A uvicorn server, not yet running, and the socket that it is to serve; 0 takes any port."""
        import uvicorn

        listening = socket.create_server(("127.0.0.1", port), backlog=1_024)
        # asyncio does not for a socket that it did not make itself; a reply in two parts then takes 40 ms
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            log_config=None,
            log_level=logging.CRITICAL,  # connections that are cut on purpose are no news
            access_log=False,
            lifespan="off",
            interface="asgi3",
            timeout_keep_alive=600,  # a client that waits between two calls is not to find its connection closed
            timeout_graceful_shutdown=0,
        )
        return uvicorn.Server(config), listening

    def __enter__(self) -> Self:
        self._server, self._socket = self.server()
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
