"""What every command takes: the options of a run, once, for `ask`, `run`, `resume` and `estimate` alike.

`command` joins them to a command's own parameters. This module knows typer; it does not know what a run is.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

Parameter = inspect.Parameter


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a run is to be done, whatever it does. None: as the library has it, or as the run began."""

    model: str | None = None
    reader: str | None = None
    window: int | None = None
    concurrency: int | None = None
    base_url: str | None = None
    max_cost_usd: float | None = None
    """`math.inf` lifts the limit."""
    max_tokens: int | None = None
    max_calls: int | None = None
    max_seconds: float | None = None
    max_slices: int | None = None
    max_depth: int | None = None
    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    store: str | None = None
    """A file, or the URL of a database."""
    engine: str = "local"
    """Where slices are worked."""
    run_id: str | None = None
    prices: Path | None = None
    yes: bool = False
    json: bool = False
    quiet: bool = False
    log_json: bool = False


def option(name: str, annotation: Any, default: Any, /, *declarations: str, **info: Any) -> Parameter:
    """A keyword parameter; `declarations` and `info` go to `typer.Option`."""
    annotated = Annotated[annotation, typer.Option(*declarations, **info)]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotated)


def argument(name: str, annotation: Any, /, **info: Any) -> Parameter:
    """A positional parameter; `info` goes to `typer.Argument`."""
    annotated = Annotated[annotation, typer.Argument(show_default=False, **info)]
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotated)


def _common(name: str, annotation: Any, default: Any = None, /, **info: Any) -> Parameter:
    return option(name, annotation, default, f"--{name.replace('_', '-')}", **info)


def _dollars(text: str) -> float:
    """A limit in dollars, or none."""
    if text.strip().lower() == "none":
        return math.inf
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise typer.BadParameter(f"{text!r} is no amount: give dollars, such as 2.50, or none")
    return value


PATHS = argument("paths", list[str], metavar="PATH", help="Files, folders, quoted globs, or - for standard input.")
PATHS_IF_ANY = Parameter(
    "paths",
    Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        list[str] | None,
        typer.Argument(show_default=False, metavar="[PATH]", help="Material, where there is any."),
    ],
)
RUN = argument("run", str, metavar="RUN", help="The id of the run, the beginning of it, or last.")
STANDBY = _common(
    "standby", bool, False, help="Wait until whoever coordinates the run has died, and take over; with --engine."
)

SHAPE = (
    _common(
        "model", str | None, metavar="MODEL", help="extractive (default, no key), anthropic:NAME, openai:NAME."
    ),
    _common("reader", str | None, metavar="MODEL", help="A cheaper model to read with; MODEL plans and answers."),
    _common("window", int | None, min=1, metavar="TOKENS", help="The most that one call and its reply may hold."),
    _common("concurrency", int | None, min=1, metavar="N", help="Calls under way at once."),
    _common("base_url", str | None, metavar="URL", help="A compatible server: vLLM, Ollama, llama.cpp, a proxy."),
)
"""What a run is worked with: kept from when it last went on, where it is not named anew."""

LIMITS = (
    _common(
        "max_cost_usd",
        float | None,
        metavar="USD|none",
        parser=_dollars,
        help="Stop cleanly before more is spent; 5 where a model costs money and nothing is said.",
    ),
    _common("max_tokens", int | None, min=0, metavar="N", help="... before more are used, in and out."),
    _common("max_calls", int | None, min=0, metavar="N", help="... before more calls are sent."),
    _common("max_seconds", float | None, min=0, metavar="S", help="... after so long, counted from now."),
    _common("max_slices", int | None, min=0, metavar="N", help="... before more slices are worked."),
    _common("max_depth", int | None, min=0, metavar="N", help="How often a slice may be cut in halves (8)."),
    _common("requests_per_minute", int | None, min=1, metavar="N", help="Calls wait so that no more are sent."),
    _common("input_tokens_per_minute", int | None, min=1, metavar="N", help="The same, in tokens sent."),
    _common(
        "output_tokens_per_minute", int | None, min=1, metavar="N", help="The same, in tokens that come back."
    ),
)
"""What a run may spend: kept likewise."""

STORE = _common(
    "store",
    str | None,
    metavar="FILE|URL",
    help="Where runs are kept (default: .swarm/swarm.db), or postgresql://…",
)
PRICES = _common("prices", Path | None, metavar="FILE", help="Prices of your own, before all published ones.")
YES = _common("yes", bool, False, help="Do not ask whether to go on.")
JSON = _common("json", bool, False, help="Print one JSON object, and nothing else.")
_QUIET = _common("quiet", bool, False, help="Show no progress.")
_LOG = _common("log_json", bool, False, help="Write the log to stderr, one JSON object a line.")

ENGINE = _common(
    "engine",
    str,
    "local",
    metavar="ENGINE",
    help="Where slices are worked: local, or postgres, by each `swarm worker` on the --store.",
)

RUN_ID = _common(
    "run_id", str | None, metavar="ID", help="The run's name: given again with the same question, it goes on."
)

MANNER = (STORE, ENGINE, PRICES, YES, JSON, _QUIET, _LOG)
"""What is told anew each time."""

WHOLE = (*SHAPE, *LIMITS, *MANNER)
"""What a run takes."""
NEW = (*WHOLE, RUN_ID)
"""What one takes that may begin."""

RESERVED = frozenset(parameter.name for parameter in NEW)


def command(
    body: Callable[..., int], own: Sequence[Parameter], shared: Sequence[Parameter], *, name: str, text: str
) -> Callable[..., int]:
    """A function that typer sees with `own` and `shared` parameters; `body` gets its own, and the shared ones as
    `settings`."""

    def call(**values: Any) -> int:
        settings = Settings(**{parameter.name: values.pop(parameter.name) for parameter in shared})
        return body(settings, **values)

    call.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    call.__name__, call.__doc__ = name, text
    return call
