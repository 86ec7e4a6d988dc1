"""`swarm serve`: an endpoint that any client of OpenAI or Anthropic can use, in front of one model.

On this machine alone unless told otherwise, and for those with a token alone. This module knows the command line
and the server that runs the application; what it serves is `swarm.serve`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli.sending import sending

if TYPE_CHECKING:
    from swarm.serve.app import Serving
    from swarm.serve.clients import Clients
    from swarm.serve.upstream import Behind

PORT = 8_787
TOKEN = "SWARM_SERVE_TOKEN"  # noqa: S105  # the name of a variable
GRACE_SECONDS = 5
"""For replies to come to their end, once the server is told to stop."""
_SOCKETS = 1_024

_Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Who answers: anthropic:NAME, openai:NAME, openai-chat:NAME, openai-responses:NAME; or extractive.",
    ),
]
_Url = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="A compatible server: vLLM, Ollama, a proxy.")
]
_Window = Annotated[
    int | None, typer.Option("--window", min=1, metavar="TOKENS", help="What the model behind holds.")
]
_MaxOutput = Annotated[
    int | None,
    typer.Option("--max-output", min=1, metavar="TOKENS", help="The longest reply of the model behind."),
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="Where what was read is kept.")]
_Host = Annotated[str, typer.Option("--host", metavar="HOST", help="The address to listen on.")]
_Port = Annotated[int, typer.Option("--port", min=0, max=65_535, metavar="PORT", help="0 takes any.")]
_TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help=f"Holds the token; else {TOKEN}, else one is made and shown once."
    ),
]
_Clients = Annotated[
    Path | None,
    typer.Option("--clients", metavar="FILE", help="Several clients, each with a token and limits (TOML)."),
]
_Cost = Annotated[
    float | None,
    typer.Option(
        "--max-cost-usd", min=0, metavar="USD", help="Of each client, in all; 5 where the model costs money."
    ),
]
_Bytes = Annotated[
    int | None, typer.Option("--max-request-bytes", min=1, metavar="N", help="Of the one client (32 MiB).")
]
_Concurrent = Annotated[int, typer.Option("--concurrent", min=1, metavar="N", help="Requests at a time, of all.")]
_Concurrency = Annotated[
    int | None, typer.Option("--concurrency", min=1, metavar="N", help="Calls under way at once, to read with.")
]
_Open = Annotated[bool, typer.Option("--open-to-network", help="Allow an address that other machines can reach.")]
_Hosts = Annotated[
    list[str] | None, typer.Option("--allow-host", metavar="NAME", help="A name by which clients call it.")
]
_Origins = Annotated[
    list[str] | None, typer.Option("--allow-origin", metavar="ORIGIN", help="A web page that may call it.")
]
_Prices = Annotated[Path | None, typer.Option("--prices", metavar="FILE", help="Prices of your own.")]
_Log = Annotated[bool, typer.Option("--log-json", help="Write the log to stderr, one JSON object a line.")]


def serve(
    model: _Model = "extractive",
    base_url: _Url = None,
    window: _Window = None,
    max_output: _MaxOutput = None,
    store: _Store = None,
    host: _Host = "127.0.0.1",
    port: _Port = PORT,
    token_file: _TokenFile = None,
    clients: _Clients = None,
    max_cost_usd: _Cost = None,
    max_request_bytes: _Bytes = None,
    concurrent: _Concurrent = 128,
    concurrency: _Concurrency = None,
    open_to_network: _Open = False,
    allow_host: _Hosts = None,
    allow_origin: _Origins = None,
    prices: _Prices = None,
    log_json: _Log = False,
) -> int:
    """Serve OpenAI's and Anthropic's wires, with no end to the context."""
    from swarm.errors import UsageError
    from swarm.models.price_file import VARIABLE
    from swarm.observe.log import to_stderr
    from swarm.serve.app import Serving
    from swarm.serve.endpoint import Terms
    from swarm.serve.upstream import behind

    if log_json:
        to_stderr()
    if prices is not None:
        os.environ[VARIABLE] = str(prices)
    here = _is_here(host, open_to_network)
    to = None
    if model == "extractive" and (base_url, max_output) != (None, None):
        raise UsageError(
            "extractive asks no model: --base-url and --max-output need --model openai:NAME or another"
        )
    if model != "extractive":
        to = behind(model, base_url=base_url, window=window, max_output=max_output)
    known, made = _known(clients, token_file, _limit(max_cost_usd, to), max_request_bytes)
    serving = Serving(
        clients=known,
        to=to,
        store=store,
        window=window,
        concurrency=concurrency,
        hosts=tuple(allow_host or ()) + ((host,) if not here else ()),
        origins=tuple(allow_origin or ()),
        anywhere=not here,
        terms=Terms(concurrent=concurrent),
    )
    return _run(serving, host, port, made, here=here)


def _is_here(host: str, open_to_network: bool) -> bool:
    from ipaddress import ip_address

    from swarm.errors import UsageError

    try:
        here = ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if not here and not open_to_network:
        raise UsageError(
            f"--host {host} can be reached by other machines: add --open-to-network if that is meant; what is "
            "said is not encrypted, so put a proxy with TLS before it"
        )
    return here


def _limit(given: float | None, to: Behind | None) -> float | None:
    """The dollars of a client that nobody has set a limit for."""
    from swarm.limits.budget import DEFAULT_COST_USD

    if given is not None or to is None or to.price.worst(1_000, 1_000) <= 0:
        return given
    return DEFAULT_COST_USD


def _known(
    clients: Path | None, token_file: Path | None, cost_usd: float | None, request_bytes: int | None
) -> tuple[Clients, str | None]:
    """Who may ask, and the token where one was made."""
    from swarm.errors import UsageError
    from swarm.observe.log import hide
    from swarm.serve.clients import REQUEST_BYTES, Client, Clients, checked, digest_of, new_token, read_clients

    if clients is not None:
        if token_file is not None or request_bytes is not None:
            raise UsageError("--clients names the tokens and limits of all: leave out --token-file and its limits")
        return read_clients(clients, cost_usd), None
    made = None
    if token_file is not None:
        try:
            token = checked(token_file.read_text("utf-8"), str(token_file))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise UsageError(f"the token in {token_file} cannot be read: {reason}") from None
    elif os.environ.get(TOKEN):
        token = checked(os.environ[TOKEN], TOKEN)
    else:
        token = made = new_token()
    hide(token)
    one = Client(
        name="default",
        digest=digest_of(token),
        request_bytes=request_bytes or REQUEST_BYTES,
        cost_usd=cost_usd,
        concurrent=_SOCKETS,
    )
    return Clients([one]), made


def _run(serving: Serving, host: str, port: int, made: str | None, *, here: bool) -> int:
    from swarm.errors import UsageError

    try:
        listening = socket.create_server((host, port), backlog=_SOCKETS, family=_family(host))
    except OSError as error:
        said = (error.strerror or str(error)).partition(" (while")[0].lower()
        free = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        raise UsageError(f"cannot listen on {host}:{port}: {said}{free}") from None
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # uvicorn raises the signal that ended it once more, when all is done
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with sending(), listening:
            asyncio.run(
                _serve(
                    serving, listening, lambda: _tell(serving, host, listening.getsockname()[1], made, here=here)
                )
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


async def _serve(serving: Serving, listening: socket.socket, begun: Callable[[], None]) -> None:
    """Serve until a signal comes, and then for as long as replies need to end, within bounds."""
    import uvicorn

    from swarm.serve.app import application, opened
    from swarm.serve.connection import Connection

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            begun()

    async with opened(serving) as endpoint:
        config = uvicorn.Config(
            application(serving, endpoint),
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            server_header=False,
            date_header=False,
            interface="asgi3",
            lifespan="off",
            http=Connection,
            ws="none",
            limit_concurrency=_SOCKETS,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        await Server(config).serve(sockets=[listening])
        await endpoint.idle()


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _tell(serving: Serving, host: str, port: int, made: str | None, *, here: bool) -> None:
    """Where it is and how one comes in. A token that was made is shown here and nowhere else."""
    from swarm.models.prices import UNKNOWN_WINDOW

    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    behind = f"{serving.to.name}, {serving.to.window:,} tokens" if serving.to is not None else "extractive"
    lines = [f"serving {behind} at {url}", f"  OpenAI: base_url={url}/v1   Anthropic: base_url={url}"]
    if made is not None:
        lines.append(f"  token: {made}")
    if serving.to is not None and serving.window is None and serving.to.window == UNKNOWN_WINDOW:
        lines.append(
            f"  note: its window is not published, and {UNKNOWN_WINDOW:,} assumed: --window says otherwise"
        )
    if not here:
        lines.append("  warning: other machines can reach it, and what is said is not encrypted")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
