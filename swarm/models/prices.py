"""What hosted models cost and hold: prices and context windows by provider and model name.

Both come from the `genai-prices` package, which carries the published tables and is read from disk, never from the
network. A newer package is newer prices; a price that the user gave (`price_file`) comes before any. What the
package does not tell (the longest reply, what a window is where no name matches) stands here with its origin. This
module knows names and numbers; not requests, nor what was spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from swarm.models.base import FREE, Price
from swarm.models.price_file import own_price

UNKNOWN_WINDOW = 32_768
"""For a model that no table names. A wrong guess is corrected by the first "prompt too long"."""

_FAMILY_WINDOW = {
    "claude-": 200_000,  # every Claude since 2.1 holds at least this (platform.claude.com, November 2026)
    "gpt-4": 128_000,
    "gpt-": 272_000,  # input side of every GPT since 5 (developers.openai.com, November 2026)
}
_INPUT_SHARE = {400_000: 272_000, 1_050_000: 922_000, 1_000_000: 922_000}
# OpenAI's windows include the reply, the prompt alone is limited further: 272k of 400k, 922k of 1.05M
_LONGEST_REPLY = {
    "claude-3-haiku": 4_096, "claude-3-opus": 4_096, "claude-3-sonnet": 4_096, "claude-3-5": 8_192,
    "gpt-3.5": 4_096, "gpt-4-32k": 4_096, "gpt-4-turbo": 4_096, "gpt-4-": 4_096, "gpt-4o-2024-05-13": 4_096,
}  # fmt: skip
_STEP = 272_000  # past it OpenAI charges twice for input and half more for output
_NEWER = {
    # newer than the package: OpenAI's announcement of 17 November 2026, dollars for a million tokens
    "gpt-6.2-astra": (8.0, 40.0, 0.4),
    "gpt-6.2-sol": (2.0, 10.0, 0.2),
}
REPLY = 16_384
"""Tokens of the longest reply asked for, thinking included. Models could write more, but a finding or an answer is
never that long, and the worst case of every call is reserved from the limits of a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of one model, in tokens. `window` stops where a higher price for long prompts would begin."""

    window: int
    max_output: int
    price: Price


def known(provider: str, model: str, window: int | None = None) -> Known:
    """What is known of a model, or what is safe to assume of it. `window` is the user's own, and wins.

    A window past the step where a provider charges more for long prompts is priced at the higher rate throughout.

    Raises:
        UsageError: the user's file of prices is not one.
    """
    found = _find(provider, model)
    holds = window or _window(provider, model, found)
    price = own_price(provider, model)
    if price is None:
        price = _price(found, holds) if found is not None else _newer(model, holds)
    return Known(window=holds, max_output=_reply(model), price=price or _dearest(provider))


def _window(provider: str, model: str, found: Any) -> int:
    holds = getattr(found, "context_window", None)
    if holds is None:
        holds = next((size for name, size in _FAMILY_WINDOW.items() if model.startswith(name)), UNKNOWN_WINDOW)
    if provider == "openai" and not model.startswith("gpt-4.1"):
        holds = _INPUT_SHARE.get(holds, holds)
    steps: list[int] = [tier.start for rate in _rates(found) for tier in getattr(rate, "tiers", ())]
    return min([int(holds), *steps])


def _reply(model: str) -> int:
    if model == "gpt-4":
        return 4_096
    return next((size for name, size in _LONGEST_REPLY.items() if model.startswith(name)), REPLY)


def _price(found: Any, window: int) -> Price | None:
    prices = _current(found)
    if prices is None or prices.input_mtok is None or prices.output_mtok is None:
        return None
    fresh = _rate(prices.input_mtok, window)
    return Price(
        input_usd=fresh,
        output_usd=_rate(prices.output_mtok, window),
        cached_usd=_rate(prices.cache_read_mtok, window) if prices.cache_read_mtok is not None else fresh,
        as_of=_as_of(),
    )


def _newer(model: str, window: int) -> Price | None:
    if model not in _NEWER:
        return None
    fresh, written, cached = _NEWER[model]
    more, half = (2.0, 1.5) if window > _STEP else (1.0, 1.0)
    return Price(input_usd=fresh * more, output_usd=written * half, cached_usd=cached * more, as_of="2026-11-17")


def _rate(rate: Any, window: int) -> float:
    """Dollars for a million tokens when prompts grow up to `window`: the dearest step that they can reach."""
    steps = [float(tier.price) for tier in getattr(rate, "tiers", ()) if tier.start < window]
    return max([float(getattr(rate, "base", rate)), *steps])


@cache
def _dearest(provider: str) -> Price:
    """Stands in for a model without a published price: a limit in dollars then holds all the same."""
    prices = [price for model in _models(provider) if (price := _price(model, 10**9)) is not None]
    top = max(price.input_usd for price in prices)
    return Price(
        input_usd=top,
        output_usd=max(price.output_usd for price in prices),
        cached_usd=top,
        as_of=_as_of(),
        known=False,
    )


def served(base_url: str, model: str, window: int | None = None) -> Known:
    """The same for a server that speaks a provider's language: by its address where the tables know it, else at
    the dearest price. A server on this machine is free unless the model is one of OpenAI's: then it is a proxy,
    and passes the call on. The user's own price holds for any server.

    Raises:
        UsageError: the user's file of prices is not one.
    """
    if (own := own_price("openai", model)) is not None:
        return Known(window=window or _served_window(base_url, model), max_output=REPLY, price=own)
    if is_loopback(base_url):
        hosted = known("openai", model, window)
        if hosted.price.known:
            return hosted
        return Known(window=window or UNKNOWN_WINDOW, max_output=REPLY, price=FREE)
    found = _find(None, model, base_url)
    holds = window or _served_window(base_url, model)
    price = _price(found, holds) if found is not None else None
    return Known(window=holds, max_output=REPLY, price=price or _dearest("openai"))


def _served_window(base_url: str, model: str) -> int:
    found = _find("openai", model) if is_loopback(base_url) else _find(None, model, base_url)
    return _window("openai", model, found) if found is not None else UNKNOWN_WINDOW


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _find(provider: str | None, model: str, url: str | None = None) -> Any | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, url)
    except LookupError:
        return None
    return found


def _models(provider: str) -> list[Any]:
    from genai_prices.data_snapshot import get_snapshot

    listed = {entry.id: list(entry.models) for entry in get_snapshot().providers}
    return listed.get(provider) or listed["openai"]


def _rates(found: Any) -> list[Any]:
    prices = _current(found) if found is not None else None
    return [rate for rate in (prices.input_mtok, prices.output_mtok) if rate is not None] if prices else []


def _current(found: Any) -> Any | None:
    """The prices in force now; None where the table lists the model without any."""
    return found.get_prices(datetime.now(UTC))


@cache
def _as_of() -> str:
    """The date of the published table: that of its newest price, since the package tells no other."""
    from importlib.metadata import version

    from genai_prices.data_snapshot import get_snapshot

    today = datetime.now(UTC).date()
    listed = (model.prices for entry in get_snapshot().providers for model in entry.models)
    starts = (
        start
        for prices in listed
        if isinstance(prices, list)
        for price in prices
        if (start := getattr(price.constraint, "start_date", None)) is not None and start <= today
    )
    newest = max(starts, default=None)
    return f"{f'{newest} ' if newest else ''}(genai-prices {version('genai-prices')})"
