"""From the name that a user types to a model: `extractive`, `anthropic:…`, `openai:…`, `a|b` for a fallback.

Adapters are imported when they are asked for: a run without a language model loads no SDK.
"""

from __future__ import annotations

from difflib import get_close_matches
from urllib.parse import urlsplit

from swarm.errors import ModelError
from swarm.models.base import Model, Price
from swarm.observe.log import HIDDEN

_FORMS = {
    "extractive": "extractive, with no language model: no key, no download",
    "anthropic": "anthropic:MODEL, such as anthropic:claude-sonnet-5-5",
    "openai": "openai:MODEL, such as openai:gpt-6.1-sol, or any name with a base URL of a compatible server",
    "openai-responses": "openai-responses:MODEL, to insist on the Responses format",
    "openai-chat": "openai-chat:MODEL, to insist on the Chat Completions format",
    "langchain": "langchain:PROVIDER/MODEL, any chat model of LangChain",
}


def connect(
    name: str,
    *,
    window: int | None = None,
    max_output: int | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    price: Price | None = None,
) -> Model:
    """The model of that name. `window` and `max_output`, in tokens, win over what is published; keys come from the
    environment unless given; `price` is for models that no table knows.

    Raises:
        ModelError: no such model, no key, or a package that is not installed.
    """
    if base_url:
        _check_url(base_url)
    if "|" in name:
        from swarm.models.fallback import Fallback

        parts = [part.strip() for part in name.split("|")]
        return Fallback(*(_one(part, window, max_output, base_url, api_key, price) for part in parts))
    return _one(name.strip(), window, max_output, base_url, api_key, price)


def _check_url(url: str) -> None:
    """Settings go into the journal, and a secret must not; the SDKs make nothing of a query anyway."""
    if HIDDEN in url:
        raise ModelError("the base URL of that run held a secret, which no journal keeps: give --base-url again")
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if not plain:
        raise ModelError("the base URL is no address of a server: write it as http://HOST:PORT/PATH")
    if "@" in parts.netloc:
        raise ModelError(
            "the base URL holds a name or a password: leave them out, and give the key in the environment"
        )
    if parts.query or parts.fragment:
        raise ModelError("the base URL holds a query, which no server is sent: end it before the ? or #")


def _one(
    name: str,
    window: int | None,
    max_output: int | None,
    base_url: str | None,
    api_key: str | None,
    price: Price | None,
) -> Model:
    kind, _, model = name.partition(":")
    if kind not in _FORMS:
        raise ModelError(_unknown(name, kind))
    if kind == "extractive":
        if model:
            raise ModelError(f"extractive takes no model name: write extractive, not {name}")
        from swarm.models.extractive import Extractive

        return Extractive(window=window) if window else Extractive()
    if not model:
        raise ModelError(f"{kind} needs a model name: {_FORMS[kind]}")
    if window is not None and window < 1:
        raise ModelError(f"a window of {window} tokens holds nothing")
    if kind == "langchain":
        from swarm.models.langchain import LangChain

        return LangChain.named(model, window=window, max_output=max_output, price=price)
    if kind == "anthropic":
        from swarm.models.anthropic import Anthropic

        return Anthropic(
            model, base_url=base_url, api_key=api_key, window=window, max_output=max_output, price=price
        )
    from swarm.models.openai import Api, OpenAI

    apis: dict[str, Api | None] = {"openai": None, "openai-responses": "responses", "openai-chat": "chat"}
    return OpenAI(
        model,
        api=apis[kind],
        base_url=base_url,
        api_key=api_key,
        window=window,
        max_output=max_output,
        price=price,
    )


def _unknown(name: str, kind: str) -> str:
    close = get_close_matches(kind.lower(), _FORMS, n=1)
    guess = close[0] + name[len(kind) :] if close else ""
    if kind.startswith("claude"):
        guess = f"anthropic:{name}"
    elif kind.startswith(("gpt-", "o1", "o3", "o4")):
        guess = f"openai:{name}"
    hint = f"; did you mean {guess}?" if guess else "."
    return f"unknown model {name!r}{hint} Models are: {', '.join(_FORMS)}"
