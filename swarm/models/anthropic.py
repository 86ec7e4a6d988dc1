"""Claude, through Anthropic's own SDK and the Messages format.

The reply is held to its schema by the provider (`output_config`); models that lack that get the schema as a tool
they must call, and at last in words. Requests are always streamed, so that a long reply never runs into an idle
connection and a broken one is noticed at once. Nothing is retried here.
"""

from __future__ import annotations

import os
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

from swarm.errors import ModelError, PromptTooLong, RunError, Unavailable
from swarm.models.base import FREE, Completion, Price
from swarm.models.connection import Connection, was_sent
from swarm.models.failures import Failure, about_form, error_of
from swarm.models.language import LanguageModel, json_in, schema_of, schema_text, sent_text
from swarm.models.messages import Streamed, conversation, tools
from swarm.models.prices import is_loopback, known
from swarm.models.quota import quota_of
from swarm.models.sending import about_to_write
from swarm.models.tools import Acts, verbatim
from swarm.observe.log import hide, redact_text
from swarm.prompts.render import Rendered, render_schema
from swarm.prompts.typed import Prompt
from swarm.task import Usage
from swarm.tokens import Bound, TokenCounter, o200k

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

KEY = "ANTHROPIC_API_KEY"
_HOME = "https://api.anthropic.com"
_CACHE_MIN_TOKENS = 1_024  # the smallest prefix that current models cache; a smaller one is billed as ever
_CACHE_WRITE_SHARE = 0.25  # of the input price, on top, for what is written to the cache for five minutes
_TOOL = "reply"

Form = Literal["format", "tool", "words"]
_FALLBACK: dict[Form, Form] = {"format": "tool", "tool": "words"}


class Anthropic(LanguageModel):
    """One Claude model, or a model behind another server that speaks the Messages format (`base_url`).

    `window`, `max_output`: tokens, None for what is published. `read_seconds` is how long the stream may stay
    silent. `effort` is passed on as it is (low, medium, high …); None leaves it to the provider.
    """

    request_tokens = 1_024  # the preamble that goes with a schema or a tool is a few hundred tokens

    def __init__(
        self,
        model: str,
        *,
        window: int | None = None,
        max_output: int | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        price: Price | None = None,
        counter: TokenCounter | None = None,
        effort: str | None = None,
        read_seconds: float = 600.0,
    ) -> None:
        url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or _HOME
        facts = known("anthropic", model, window)
        super().__init__(
            name=f"anthropic:{model}",
            window=facts.window,
            max_output=max_output or facts.max_output,
            price=_price(url, facts.price) if price is None else _with_writes(price),
            counter=counter or Bound(),
            address=url,
        )
        self._model = model
        self.base_url = base_url
        self._effort = effort
        self._foreign = not url.startswith(_HOME)
        self._form: Form = "format"
        self._read_seconds = read_seconds
        self._connection = Connection(lambda: _client(url, api_key, read_seconds))

    def redirect(self, url: str, api_key: str) -> None:
        """Send everything to another server, which stands in for this one. What it is called, costs and holds, and
        how it is asked and counted, stay as they are."""
        self._connection = Connection(lambda: _client(url, api_key, self._read_seconds))

    async def close(self) -> None:
        await self._connection.close()

    async def _send(self, rendered: Rendered, prompt: Prompt[Any], max_output: int) -> Completion:
        while True:
            form, acts = self._form, self._acts
            asked = self._asked(rendered, acts)
            if step := bool(asked.tools):
                request = self._step(asked, max_output, acts)
            else:
                request = self._request(asked, prompt, max_output, form)
            try:
                return await self._stream(request, step=step)
            except RunError:
                raise
            except Exception as error:
                failure = _failure(error)
                if failure is None:
                    raise
                if self._allows_less(failure, max_output):
                    max_output = self.max_output
                    continue
                if self._acts_otherwise(failure, rendered, acts):
                    continue
                if not step and form in _FALLBACK and about_form(failure):
                    # remembered for all later calls; a call that was under way may have moved on already
                    self._form = _FALLBACK[form] if self._form == form else self._form
                    continue
                raise error_of(failure, sent=sent_text(rendered), key_hint=KEY) from None

    def _extra_texts(self, prompt: Prompt[Any]) -> tuple[str, ...]:
        return (render_schema(schema_text(prompt.reply)),) if self._in_words(self._form) else ()

    def _in_words(self, form: Form) -> bool:
        """Servers of others may ignore the mechanism without a word, so they are told the schema as well."""
        return self._foreign or form == "words"

    def _request(self, rendered: Rendered, prompt: Prompt[Any], max_output: int, form: Form) -> dict[str, Any]:
        system = rendered.system
        if self._in_words(form):
            system += "\n\n" + render_schema(schema_text(prompt.reply))
        blocks: list[dict[str, Any]] = [{"type": "text", "text": part} for part in rendered.parts]
        if (
            len(blocks) > 1
            and o200k(system) + sum(o200k(part) for part in rendered.parts[:-1]) >= _CACHE_MIN_TOKENS
        ):
            blocks[-2]["cache_control"] = {"type": "ephemeral"}
        request: dict[str, Any] = {
            "model": self._model,
            "max_tokens": max_output,
            "system": system,
            "messages": [{"role": "user", "content": blocks}],
        }
        config: dict[str, Any] = {"effort": self._effort} if self._effort else {}
        if form == "format":
            config["format"] = {"type": "json_schema", "schema": schema_of(prompt.reply)}
        if config:
            request["output_config"] = config
        if form == "tool":
            request["tools"] = [
                {"name": _TOOL, "description": "Hands in the reply", "input_schema": schema_of(prompt.reply)}
            ]
            request["tool_choice"] = {"type": "tool", "name": _TOOL}
        return request

    def _step(self, rendered: Rendered, max_output: int, acts: Acts) -> dict[str, Any]:
        """The request of a sub-agent that has tools."""
        config = {"output_config": {"effort": self._effort}} if self._effort else {}
        return {
            "model": self._model,
            "max_tokens": max_output,
            "system": rendered.system,
            **verbatim(
                "messages",
                messages=conversation(rendered, self.lane),
                **tools(rendered, forced=rendered.force and acts == "forced"),
            ),
            **config,
        }

    async def _stream(self, request: dict[str, Any], *, step: bool) -> Completion:
        streamed = Streamed()
        async with await self._connection.client().messages.create(**request, stream=True) as events:
            quota = quota_of(events.response.headers)
            async for event in events:
                streamed.take(event)
        stop = streamed.stop
        if stop is None:
            raise Unavailable(f"{self.name}: the reply broke off before its end", in_doubt=True)
        usage = self._settled(streamed.counts)
        if stop == "model_context_window_exceeded":
            self._learn_limit(usage)
        reply = streamed.turn(self.lane) if step else streamed.arguments or json_in(streamed.text)
        refusal = (streamed.why or "no reason was given") if stop == "refusal" else None
        return Completion(text=reply, usage=usage, refusal=refusal, quota=quota)

    def _learn_limit(self, usage: Usage) -> None:
        error = PromptTooLong(
            f"{self.name}: prompt and reply together filled the context window", tokens=usage.tokens, limit=0
        )
        error.in_doubt = True  # it was answered, and is billed
        raise error

    def _settled(self, counts: dict[str, int]) -> Usage:
        read, written = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
        return self._usage(
            input_tokens=counts["input_tokens"] + read + written,
            output_tokens=counts["output_tokens"],
            cached_tokens=read,
            surcharge_usd=written * _surcharge(self.price) / 1e6,
        )


def _client(url: str, api_key: str | None, read_seconds: float) -> AsyncAnthropic:
    import httpx2
    from anthropic import AnthropicError, AsyncAnthropic, DefaultAsyncHttpxClient

    loopback = is_loopback(url)
    hide(api_key)
    key = api_key or os.environ.get(KEY)
    if not key and loopback and not os.environ.get("ANTHROPIC_AUTH_TOKEN"):
        key = "none"  # a server on this machine seldom wants one, and the SDK sends no request without
    timeout = httpx2.Timeout(read_seconds, connect=10.0)
    http = DefaultAsyncHttpxClient(timeout=timeout, event_hooks={"request": [about_to_write]})
    try:
        client = AsyncAnthropic(
            api_key=key, base_url=url, max_retries=0, timeout=timeout, http_client=http, **_untraced()
        )
    except (AnthropicError, ValueError, OSError) as error:
        if not os.environ.get("ANTHROPIC_PROFILE"):
            raise ModelError(f"no key for anthropic: set {KEY} in the environment") from None
        raise ModelError(f"anthropic: {redact_text(str(error).splitlines()[0])}") from None
    if client.api_key is None and client.auth_token is None and client.credentials is None:
        raise ModelError(f"no key for anthropic: set {KEY} in the environment")
    return client


def _untraced() -> dict[str, Any]:
    """The SDK has spans of its own, inside of those of Swarm: their tokens would count twice. So it has them only
    where the environment asks for them."""
    from anthropic import AsyncAnthropic

    known = "open_telemetry" in signature(AsyncAnthropic).parameters
    asked = any(name.startswith("ANTHROPIC_OPEN_TELEMETRY") for name in os.environ)
    return {"open_telemetry": {"traces": False, "propagation": False}} if known and not asked else {}


def _failure(error: Exception) -> Failure | None:
    """What an exception of the SDK or of the connection under it says; None for anything else."""
    import anthropic
    import httpx2

    name = "anthropic"
    match error:
        case anthropic.APIStatusError():
            status = error.status_code if error.status_code >= 400 else 0
            return Failure(
                provider=name,
                status=status,
                kind=error.type or "",
                code=error.error_code or "",
                message=error.api_message or error.message,
                headers=error.response.headers,
            )
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return Failure(provider=name, lost=True, late=True, sent=was_sent(error), message="no answer in time")
        case anthropic.APIConnectionError() | httpx2.TransportError():
            message = "the connection failed or broke off"
            return Failure(provider=name, lost=True, sent=was_sent(error), message=message)
        case (
            anthropic.APIResponseValidationError() | ValueError() | TypeError() | AttributeError() | LookupError()
        ):
            # what came parses as JSON at most, and lacks what every reply has
            return Failure(
                provider=name, lost=True, message="the answer is not in the Messages format; check the base URL"
            )
        case anthropic.AnthropicError():
            return Failure(provider=name, status=401, message=str(error))
        case _:
            return None


def _price(url: str, published: Price) -> Price:
    """Published prices hold for a known name at any address, as a proxy on this machine may pass the call on; an
    unknown model on this machine is free."""
    if is_loopback(url) and not published.known:
        return FREE
    return _with_writes(published)


def _with_writes(price: Price) -> Price:
    if price.written_usd is not None:
        return price
    return replace(price, written_usd=price.input_usd * (1 + _CACHE_WRITE_SHARE))


def _surcharge(price: Price) -> float:
    """Dollars on top for a million tokens that are written to the cache."""
    return max(0.0, (price.written_usd or 0.0) - price.input_usd)
