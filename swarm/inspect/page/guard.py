"""Who may see the page of a run: whoever has the token, on this machine, by one of its own names, in the page.

It stands before everything else, so that nothing of a request is read before. A web page of elsewhere must not
reach the server by a name that it controls (the header Host tells), nor one of another port with the cookie that a
browser sends there too (Sec-Fetch-Site tells). Nothing can be changed by a request. This module knows ASGI, and
not what is shown.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit

from swarm.inspect.page.joined import to_json

App = Callable[[Any, Any, Any], Awaitable[None]]

MOST_BYTES = 8_192
"""Of an address."""
_SEE = "open the address that swarm view printed: it holds the token"


class Guard:
    """Lets through requests for GET from this machine that bring the token, as a cookie or a bearer. The cookie is
    given for the token in the address of the page; `port` is in its name, since all ports of a machine share their
    cookies. Every reply says what the page may do, by `policy`, and that nobody else may have it."""

    def __init__(self, app: App, token: str, port: int, policy: str) -> None:
        self._app, self._token = app, token.encode()
        self.cookie = f"swarm_view_{port}"
        self._headers = [
            (b"content-security-policy", f"{policy}; frame-ancestors 'none'".encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (refusal := self._refusal(scope, headers)) is not None:
            await _reply(guarded, *refusal)
        elif scope["path"] == "/" and b"token=" in scope["query_string"]:
            await self._enter(scope, guarded)
        elif not self._brings(headers):
            await _reply(guarded, 401, _SEE)
        else:
            await self._app(scope, receive, guarded)

    def _refusal(self, scope: Any, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why a request is turned away whatever it brings."""
        if not _is_here(headers.get("host", "")):
            return 403, "this page is shown to this machine alone: open it at 127.0.0.1"
        if scope["method"] != "GET":
            return 405, "the page is only looked at: there is nothing but GET"
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_BYTES:
            return 414, f"the address is longer than {MOST_BYTES:,} bytes"
        site = headers.get("sec-fetch-site", "none")
        origin = headers.get("origin", "")  # which says it too, where a browser does not say the other
        elsewhere = site not in ("same-origin", "none") or (origin and origin != f"http://{headers['host']}")
        if scope["path"] != "/" and elsewhere:
            return 403, "what the page shows is for the page alone"
        return None

    async def _enter(self, scope: Any, send: Any) -> None:
        """The token in the address becomes a cookie, and goes out of sight."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        if not self._is_token(given[-1]):
            await _reply(send, 401, _SEE)
            return
        cookie = f"{self.cookie}={self._token.decode()}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _brings(self, headers: Mapping[str, str]) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._is_token(token.strip())
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(self._is_token(value) for name, _, value in cookies if name == self.cookie)

    def _is_token(self, given: str) -> bool:
        """Takes as long whatever is given."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)


def _is_here(host: str) -> bool:
    """Whether a name is one of this machine alone, with any port: one may lead here through a tunnel."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


async def _reply(send: Any, status: int, words: str) -> None:
    body = to_json({"error": words}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 405:
        headers.append((b"allow", b"GET"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
