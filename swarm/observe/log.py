"""Logs: silent until a program asks for them, and free of secrets when it does.

The library writes to the loggers below `swarm` of the standard library and configures nothing; `to_stderr` is what
the command line calls, once. Every event says where the program was at (`where`), and passes `redact` before
anything renders it. This module knows what a secret looks like; it does not know who logs, nor what about.

structlog takes a tenth of a second to import, so that is put off until something is logged.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote

from swarm.observe.scope import PHASES, scope

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor

HIDDEN = "[redacted]"

_SECRET_KEY = re.compile(
    r"(?i)(^|[_\-.])(api[_-]?key|apikey|key|authorization|auth|token|secret|password|passwd|credentials?|cookie)$"
)
_SECRET_VALUE = re.compile(
    r"""
      \bsk-[A-Za-z0-9_\-]{8,}                             # OpenAI (sk-, sk-proj-) and Anthropic (sk-ant-)
    | (?i:\bbearer\s+)[A-Za-z0-9._~+/=\-]{8,}             # an Authorization header
    | (?i:\bbasic\s+)(?=[A-Za-z._~+/\-]*(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9._~+/=\-]{8,}  # and no basic principles
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                       # AWS access key ids
    | (?i:aws_secret_access_key["']?\s*[=:]\s*["']?)[A-Za-z0-9/+=]{30,}
    | \bgh[pousr]_[A-Za-z0-9]{20,}                        # GitHub tokens
    | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bxox[abposr]-[A-Za-z0-9-]{10,}                     # Slack tokens
    | \bAIza[A-Za-z0-9_\-]{30,}                           # Google API keys
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*    # JSON web tokens
    # the user and password of an address, though a slash or an @ in them is not written as it should be; no port
    | (?<=://)(?:[^/?\#\s"'<>:@]{0,99}:(?!\d+(?:[/?\#\s]|$))[^\s"'<>]{0,255}|[^/?\#\s"'<>]{1,255})(?=@)
    | (?i:(?<=[?&;])(?:[\w.\-]{0,99}[_.\-])?  # a secret in the query of an address
        (?:api|access)?(?:key|token|secret|passw(?:or)?d|pwd|credentials?|auth|sig|signature)=)[^&;\s"'<>]+
    | (?i:\b(?:ssl)?passw(?:or)?d\s*=\s*)(?:'(?:[^'\\]|\\.)*+'|[^\s"']+)    # as libpq takes it
    | -----BEGIN[ A-Z]*PRIVATE[ ]KEY-----.*?(?:-----END[ A-Z]*PRIVATE[ ]KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_SECRET_VARIABLE = re.compile(r"(?i)(_KEY|APIKEY|_TOKEN|_SECRET|_PAT|_CREDENTIALS?|PASSWORD|_PASSWD|_PASS)$")
_SHORTEST = 8  # a shorter value of a variable is no key, and blotting it out would eat ordinary words
_hidden: set[str] = set()  # keys that this process was given otherwise than by its environment


class _Deferred:
    """Stands at the top of a module and becomes a logger when something is logged."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(_logger(self._name), attribute)


def get_logger(name: str) -> BoundLogger:
    """A structlog logger over `logging.getLogger("swarm.<name>")`. Costs nothing until it is used."""
    return cast("BoundLogger", _Deferred(name))


@cache
def _logger(name: str) -> BoundLogger:
    import structlog

    standard = structlog.stdlib
    logger = logging.getLogger("swarm")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())  # without one, warnings would appear on stderr unasked
    wrapped: BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"swarm.{name}"),
        wrapper_class=standard.BoundLogger,
        processors=[
            standard.filter_by_level,
            standard.add_logger_name,
            standard.add_log_level,
            standard.PositionalArgumentsFormatter(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            where,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            redact,
            _hand_over,
        ],
    )
    return wrapped


def _hand_over(logger: Any, method: str, event: MutableMapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The last step towards the standard library.

    A traceback is in the event by now, redacted; the standard library must not add it again, as it was.
    """
    from structlog.stdlib import ProcessorFormatter

    arguments, keywords = ProcessorFormatter.wrap_for_formatter(logger, method, event)
    return arguments, {**keywords, "exc_info": False}


class _Stderr(logging.Handler):
    """Writes to whatever `sys.stderr` is at that moment: a live display puts itself in between."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class names it
        """A record that cannot be written is told of; what the base class would print of it might be a secret."""
        with suppress(OSError, ValueError):
            sys.stderr.write(f'{{"event": "a log record could not be written", "logger": "{record.name}"}}\n')

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def to_stderr(*, level: int = logging.INFO) -> None:
    """Write Swarm's log, and the warnings of every other library, to stderr as one JSON object a line.

    For programs, which own their process; the library never calls it.
    """
    import structlog

    processors = structlog.processors
    foreign: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        processors.TimeStamper(fmt="iso", utc=True),
        where,
        processors.format_exc_info,
    ]
    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=foreign,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("swarm").setLevel(level)


def where(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: in which run, slice (or part of the coordinator) and call something was logged, and
    in which span, where one is recorded. What the event says itself stays."""
    at = scope()
    if at.run:
        event.setdefault("run", at.run)
    if at.asker:
        event.setdefault("asker" if at.asker in PHASES or ":" in at.asker else "slice", at.asker)
    if at.call:
        event.setdefault("call", at.call)
    if (trace := sys.modules.get("opentelemetry.trace")) is not None:  # whoever has spans has imported it
        span = trace.get_current_span()
        if span.is_recording():
            context = span.get_span_context()
            event.setdefault("trace_id", f"{context.trace_id:032x}")
            event.setdefault("span_id", f"{context.span_id:016x}")
    return event


def hide(secret: str | None) -> None:
    """Have `secret` redacted from now on: for a key that did not come out of the environment."""
    if secret and len(secret) >= _SHORTEST:
        _hidden.add(secret)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the same event with every secret replaced, however deep it lies."""
    known = _known()
    return {_clean(key, known): _value(key, value, known) for key, value in event.items()}


def redact_text(text: str) -> str:
    """`text` with everything replaced that looks like a secret or is the value of a key in the environment."""
    return _clean(text, _known())


def told(error: BaseException) -> str:
    """What an error says: one line, cut short, with no secret in it."""
    return redact_text(" ".join(str(error).split()))[:300] or type(error).__name__


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment may be handed to a program that has no business with keys: the variables of which
    neither name nor value tells of a secret."""
    known = _known()
    return {
        name: value
        for name, value in environment.items()
        if not _SECRET_VARIABLE.search(name) and _clean(value, known) == value
    }


def _known() -> list[str]:
    """The keys that this process was given, longest first: one may be the beginning of another."""
    found = set(_hidden)
    for name, value in os.environ.items():
        if _SECRET_VARIABLE.search(name):
            found.add(value)
        elif "://" in value and "@" in value:  # a proxy, a database
            found.update(_passwords(value))
    forms = {form for value in found if len(value) >= _SHORTEST for form in (value, quote(value, safe=""))}
    return sorted(forms, key=len, reverse=True)


def _passwords(address: str) -> Iterator[str]:
    """The password in an address, as it is written and as it is meant."""
    before, _, _ = address.partition("://")[2].rpartition("@")
    written = before.partition(":")[2]
    yield from (written, unquote(written))


def _clean(text: str, known: list[str]) -> str:
    for secret in known:
        text = text.replace(secret, HIDDEN)
    return _SECRET_VALUE.sub(HIDDEN, text)


def _value(key: object, value: Any, known: list[str]) -> Any:
    """What may be shown of `value`, which was logged under `key`."""
    if isinstance(key, str) and _SECRET_KEY.search(key) and isinstance(value, (str, bytes)) and value:
        return HIDDEN
    match value:
        case str():
            return _clean(value, known)
        case bytes():
            return _clean(value.decode("utf-8", "replace"), known)
        case bool() | int() | float() | None:
            return value
        case Mapping():
            return {
                _clean(inner, known) if isinstance(inner, str) else inner: _value(inner, item, known)
                for inner, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_value(None, item, known) for item in value]
        case _:
            return _clean(repr(value) if not isinstance(value, BaseException) else str(value), known)
