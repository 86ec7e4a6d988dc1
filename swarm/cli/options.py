"""What every command takes: the options of a run, once, for `ask`, `run` and `resume` alike.

`command` joins them to a command's own parameters. This module knows typer; it does not know what a run is.
"""

from __future__ import annotations

import inspect
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
    max_tokens: int | None = None
    store: Path | None = None
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


PATHS = argument("paths", list[str], metavar="PATH", help="Files, folders, quoted globs, or - for standard input.")

SHAPE = (
    _common(
        "model", str | None, metavar="MODEL", help="extractive (default, no key), anthropic:NAME, openai:NAME."
    ),
    _common("reader", str | None, metavar="MODEL", help="A cheaper model to read with; MODEL plans and answers."),
    _common("window", int | None, min=1, metavar="TOKENS", help="The most that one call and its reply may hold."),
    _common("concurrency", int | None, min=1, metavar="N", help="Calls under way at once."),
    _common("base_url", str | None, metavar="URL", help="A compatible server: vLLM, Ollama, llama.cpp, a proxy."),
)
"""What a run is worked with: settled when it begins."""

MANNER = (
    _common("max_cost_usd", float | None, min=0.0, metavar="USD", help="Stop cleanly before more is spent."),
    _common("max_tokens", int | None, min=0, metavar="N", help="Stop cleanly before more are used, in and out."),
    _common("store", Path | None, metavar="FILE", help="Where the journal is kept (default: .swarm/swarm.db)."),
    _common("json", bool, False, help="Print one JSON object, and nothing else."),
    _common("quiet", bool, False, help="Show no progress."),
    _common("log_json", bool, False, help="Write the log to stderr, one JSON object a line."),
)
"""What may be different each time that a run goes on."""

RESERVED = frozenset(parameter.name for parameter in (*SHAPE, *MANNER))


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
