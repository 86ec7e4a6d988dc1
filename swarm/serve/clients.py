"""Who may use the endpoint, and how much of it: tokens, and the limits of each client.

    [[client]]
    name = "notebook"                     # letters, digits, - and _
    token = "…"                           # or token_sha256, its SHA-256 in hex
    request_bytes = 60_000_000            # the largest request
    concurrent = 4                        # requests at a time
    requests_per_minute = 120
    cost_usd = 20.0                       # in all, over restarts
    cost_usd_per_request = 1.0
    tokens = 50_000_000                   # in all, asked and replied
    hosted_tools = false                  # tools that the provider runs itself, whose price no usage tells

What is left out is not limited, but for the bytes (32 MiB), the requests at a time (32) and, where the model costs
money, the dollars. Tokens are kept as hashes and compared in constant time. This module knows no HTTP and no
journal; what was spent is `spending`.
"""

from __future__ import annotations

import hmac
import re
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm.errors import UsageError

REQUEST_BYTES = 32 * 2**20
CONCURRENT = 32
_SHORTEST = 16  # characters of a token that nobody guesses
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """One client. `digest` is the SHA-256 of its token; limits are as in the file, None for none."""

    name: str
    digest: bytes = field(repr=False)
    request_bytes: int = REQUEST_BYTES
    concurrent: int = CONCURRENT
    requests_per_minute: int | None = None
    cost_usd: float | None = None
    cost_usd_per_request: float | None = None
    tokens: int | None = None
    hosted_tools: bool = False

    @property
    def bounded(self) -> bool:
        """Whether what a request may come to matters before it is sent."""
        return any(limit is not None for limit in (self.cost_usd, self.cost_usd_per_request, self.tokens))


class Clients:
    """All who may ask."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = tuple(clients)

    def __iter__(self) -> Any:
        return iter(self._clients)

    def known(self, token: str | None) -> Client | None:
        """Whose token that is, None where it is nobody's. Takes as long for any."""
        given = sha256((token or "").encode("utf-8", "surrogateescape")).digest()
        found = None
        for client in self._clients:
            if hmac.compare_digest(given, client.digest):
                found = client
        return found if token else None


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: str
    token: str | None = None
    token_sha256: str | None = None
    request_bytes: int = Field(default=REQUEST_BYTES, ge=1)
    concurrent: int = Field(default=CONCURRENT, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    cost_usd: float | None = Field(default=None, ge=0)
    cost_usd_per_request: float | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    hosted_tools: bool = False


def digest_of(token: str) -> bytes:
    return sha256(token.encode()).digest()


def new_token() -> str:
    """A token that nobody guesses."""
    return f"swarm-{secrets.token_urlsafe(32)}"


def checked(token: str, where: str) -> str:
    """A token that was given.

    Raises:
        UsageError: it is too short, or cannot stand in a header.
    """
    token = token.strip()
    if len(token) < _SHORTEST:
        raise UsageError(
            f"the token of {where} has fewer than {_SHORTEST} characters: give one that nobody guesses"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"the token of {where} does not fit into a header: give letters, digits and marks")
    return token


def read_clients(path: Path, cost_usd: float | None = None) -> Clients:
    """The clients of a file. `cost_usd` is the limit of those whose limit it does not tell.

    Raises:
        UsageError: the file cannot be read or says what cannot be; the message names the client.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"clients in {path} cannot be read: {error.strerror}") from None
    except (UnicodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"clients in {path}: not TOML: {error}") from None
    entries = document.pop("client", None)
    if document or not isinstance(entries, list) or not entries:
        raise UsageError(f"clients in {path}: write one [[client]] for each, with a name and a token")
    clients = [_client(entry, f"{path}: client {number}", cost_usd) for number, entry in enumerate(entries, 1)]
    for what, values in (("name", [one.name for one in clients]), ("token", [one.digest for one in clients])):
        if len(set(values)) < len(values):
            raise UsageError(f"clients in {path}: two of them have the same {what}")
    return Clients(clients)


def _client(entry: Any, where: str, cost_usd: float | None) -> Client:
    try:
        told = _Entry.model_validate(entry)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"{where}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    if not _NAME.fullmatch(told.name):
        raise UsageError(f"{where}: the name {told.name!r} is not of letters, digits, - and _")
    if (told.token is None) == (told.token_sha256 is None):
        raise UsageError(f"{where}: give token or token_sha256, one of them")
    if told.token is not None:
        digest = digest_of(checked(told.token, told.name))
    else:
        try:
            digest = bytes.fromhex(told.token_sha256 or "")
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise UsageError(f"{where}: token_sha256 is not 64 hexadecimal digits")
    limits = told.model_dump(exclude={"token", "token_sha256"})
    if limits["cost_usd"] is None:
        limits["cost_usd"] = cost_usd
    return Client(digest=digest, **limits)
