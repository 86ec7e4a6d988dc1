"""Prices of the user's own: a TOML or JSON file whose prices come before all published ones.

    as_of = "2026-11-20"                  # when these prices were looked up; a model may have its own date

    ["openai:gpt-6.2-sol"]                # or the bare name of a model, whoever serves it
    input = 1.8                           # dollars for a million tokens
    output = 9.0
    cached = 0.18                         # input that comes from the provider's cache; else as `input`
    written = 2.2                         # input that is written to it; else as the provider has it

The variable `SWARM_PRICES` names the file (`--prices` of the command line sets it); it is read whenever a model is
connected. This module knows the file; not the models, nor what is published.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm.errors import UsageError
from swarm.models.base import Price

VARIABLE = "SWARM_PRICES"
_DATE = "as_of"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    written: float | None = Field(default=None, ge=0)


def own_price(provider: str, model: str) -> Price | None:
    """The user's price of a model, by `provider:model` or by its bare name; None where the user gave none.

    Raises:
        UsageError: the file cannot be read, or something in it is no price; the message names the line.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    prices = read_prices(Path(name))
    return prices.get(f"{provider}:{model}") or prices.get(model)


def read_prices(path: Path) -> dict[str, Price]:
    """All prices of a file, by the names that it gives the models.

    Raises:
        UsageError: see `own_price`.
    """
    text = _text(path)
    data = _parsed(path, text)
    usual = data.pop(_DATE, None)
    return {model: _price(path, text, model, entry, usual) for model, entry in data.items()}


def _text(path: Path) -> str:
    if path.suffix not in (".toml", ".json"):
        raise UsageError(f"prices in {path}: end the name of the file in .toml or .json")
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"prices in {path} cannot be read: {reason}") from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    if not isinstance(data, dict):
        raise UsageError(f'{path}:1: prices are an object of models: {{"openai:NAME": {{"input": 1.0, …}}}}')
    return data


def _price(path: Path, text: str, model: str, entry: Any, usual: Any) -> Price:
    where = f"{path}:{_line(text, model)}: {model}"
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: give input and output, in dollars for a million tokens")
    rates = dict(entry)
    as_of = _as_date(rates.pop(_DATE, usual), where)
    try:
        found = _Entry.model_validate(rates)
    except ValidationError as error:
        raise UsageError(f"{where}: {_problem(error)}") from None
    return Price(
        input_usd=found.input,
        output_usd=found.output,
        cached_usd=found.input if found.cached is None else found.cached,
        written_usd=found.written,
        as_of=f"{as_of} ({path.name})",
    )


def _as_date(value: Any, where: str) -> date:
    if type(value) is date:  # TOML has dates of its own
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        said = "is missing" if value is None else f"is {value!r}"
        raise UsageError(f"{where}: {_DATE} {said}: give the day of the price, such as 2026-11-20") from None


def _problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{field} is missing"
    if problem["type"] == "extra_forbidden":
        return f"{field} is none of input, output, cached, written, {_DATE}"
    return f"{field} is {problem['input']!r}: give dollars for a million tokens, 0 or more"


def _line(text: str, model: str) -> int:
    """The line on which a model is named first, as far as it is named as such."""
    named = re.compile(rf"^\W*{re.escape(model)}(?![\w.:-])")
    return next((number for number, line in enumerate(text.splitlines(), 1) if named.search(line)), 1)
