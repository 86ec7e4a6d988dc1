"""OpenAI's models, and every server that speaks its language, through OpenAI's own SDK.

Two formats: Responses (OpenAI itself, streamed) and Chat Completions (compatible servers: vLLM, Ollama, llama.cpp,
LM Studio, hosted gateways; not streamed, because a plain answer is what all of them agree on). The reply is held
to its schema by the server; one that cannot is asked for a JSON object, and at last in words, and that is
remembered. Nothing is retried here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from swarm.errors import ModelError, RunError, Unavailable
from swarm.models import chat, responses
from swarm.models.base import Completion, Price
from swarm.models.connection import Connection, was_sent
from swarm.models.counters import counter_of
from swarm.models.failures import Failure, about_form, error_of
from swarm.models.language import LanguageModel, json_in, schema_of, schema_text, sent_text
from swarm.models.prices import is_loopback, known, served
from swarm.models.quota import quota_of
from swarm.models.sending import about_to_write
from swarm.models.tools import Acts, verbatim
from swarm.observe.log import hide, redact_text
from swarm.prompts.render import Rendered, render_schema
from swarm.prompts.typed import Prompt
from swarm.tokens import TokenCounter

if TYPE_CHECKING:
    from openai import AsyncOpenAI

KEY = "OPENAI_API_KEY"
_HOME = "https://api.openai.com"

Api = Literal["responses", "chat"]
Form = Literal["schema", "object", "words"]
_FALLBACK: dict[Form, Form] = {"schema": "object", "object": "words"}


class OpenAI(LanguageModel):
    """One model of OpenAI's, or of a compatible server (`base_url`, or OPENAI_BASE_URL).

    `api` None means Responses for OpenAI itself and Chat Completions for everyone else. `window`, `max_output`:
    tokens, None for what is published. `read_seconds` is how long the server may stay silent. `effort` is passed
    on as it is (low, medium, high …); None leaves it to the provider.
    """

    def __init__(
        self,
        model: str,
        *,
        api: Api | None = None,
        window: int | None = None,
        max_output: int | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        price: Price | None = None,
        counter: TokenCounter | None = None,
        effort: str | None = None,
        read_seconds: float = 600.0,
    ) -> None:
        url = base_url or os.environ.get("OPENAI_BASE_URL") or f"{_HOME}/v1"
        self._foreign = not url.startswith(_HOME)
        facts = served(url, model, window) if self._foreign else known("openai", model, window)
        super().__init__(
            name=f"openai:{model}" if api is None else f"openai-{api}:{model}",
            window=facts.window,
            max_output=max_output or facts.max_output,
            price=price or facts.price,
            counter=counter or counter_of(model, hosted=not self._foreign),
            address=url,
        )
        self._model = model
        self.base_url = base_url
        self._api: Api = api or ("chat" if self._foreign else "responses")
        self._effort = effort
        self._form: Form = "schema"
        self._sealed = True
        # older servers know only the older name, OpenAI's reasoning models only the newer one
        self._limit_name = "max_tokens" if self._foreign else "max_completion_tokens"
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
            form, acts, sealed = self._form, self._acts, self._sealed
            ask = self._responses if self._api == "responses" else self._chat
            asked = self._asked(rendered, acts)
            try:
                return await ask(asked, prompt, max_output, form, forced=asked.force and acts == "forced")
            except RunError:
                raise
            except Exception as error:
                failure = _failure(error)
                if failure is None:
                    raise
                if self._allows_less(failure, max_output):
                    max_output = self.max_output
                    continue
                if sealed and asked.tools and "encrypted" in failure.message.lower():
                    self._sealed = False  # it does not reason, or cannot open its reasoning any more
                    continue
                if self._adapts(failure, rendered, acts) or (not asked.tools and self._loosens(failure, form)):
                    continue
                raise error_of(failure, sent=sent_text(rendered), key_hint=KEY) from None

    def _adapts(self, failure: Failure, rendered: Rendered, acts: Acts) -> bool:
        """Whether the server objected to something of the request that can be put otherwise."""
        if "max_completion_tokens" in failure.message and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"
            return True
        return self._acts_otherwise(failure, rendered, acts)

    def _loosens(self, failure: Failure, form: Form) -> bool:
        """Whether the server objected to how the schema was given, and there is another way."""
        if form in _FALLBACK and about_form(failure):
            # remembered for all later calls; a call that was under way may have moved on already
            self._form = _FALLBACK[form] if self._form == form else self._form
            return True
        return False

    def _extra_texts(self, prompt: Prompt[Any]) -> tuple[str, ...]:
        return (render_schema(schema_text(prompt.reply)),) if self._in_words(self._form) else ()

    def _in_words(self, form: Form) -> bool:
        """Compatible servers hold a model to a schema without showing it to it, or ignore it without a word."""
        return self._foreign or form != "schema"

    def _system(self, rendered: Rendered, prompt: Prompt[Any], form: Form) -> str:
        if rendered.tools or not self._in_words(form):
            return rendered.system
        return f"{rendered.system}\n\n{render_schema(schema_text(prompt.reply))}"

    async def _chat(
        self, rendered: Rendered, prompt: Prompt[Any], max_output: int, form: Form, *, forced: bool
    ) -> Completion:
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": self._system(rendered, prompt, form)},
                {"role": "user", "content": "\n\n".join(rendered.parts)},
            ],
            self._limit_name: max_output,
        }
        if rendered.tools:
            messages = chat.conversation(rendered, self.lane)
            request |= verbatim("messages", messages=messages, **chat.tools(rendered, forced=forced))
        elif form == "schema":
            schema = {"name": prompt.kind, "strict": True, "schema": schema_of(prompt.reply)}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif form == "object":
            request["response_format"] = {"type": "json_object"}
        if self._effort:
            request["reasoning_effort"] = self._effort
        response = await self._connection.client().chat.completions.with_raw_response.create(**request)
        reply = response.parse()
        choices = getattr(reply, "choices", None)
        if not choices:
            raise Unavailable(f"{self.name}: the answer is not in the Chat Completions format", in_doubt=True)
        choice = choices[0]
        usage = self._settled(prompt, reply.usage, "prompt_tokens", "completion_tokens")
        text = _joined(choice.message.content)
        refusal = getattr(choice.message, "refusal", None)
        done = bool(text or choice.message.tool_calls)
        if choice.finish_reason == "content_filter":
            refusal = refusal or "stopped by a content filter"
        elif choice.finish_reason is None and not done:
            raise Unavailable(f"{self.name}: the reply broke off before its end", in_doubt=True)
        if rendered.tools:
            text = chat.turn(text, choice.message, self.lane, cut=choice.finish_reason == "length")
        else:
            text = json_in(text)
        return Completion(text=text, usage=usage, refusal=refusal or None, quota=quota_of(response.headers))

    def _responses_request(
        self, rendered: Rendered, prompt: Prompt[Any], max_output: int, form: Form, *, forced: bool
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._model,
            "instructions": self._system(rendered, prompt, form),
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": part} for part in rendered.parts]}
            ],
            "max_output_tokens": max_output,
            "store": False,
        }
        if rendered.tools:
            items = responses.conversation(rendered, self.lane, sealed=self._sealed)
            request |= verbatim("input", input=items, **responses.tools(rendered, forced=forced))
            request |= {"include": [responses.SEALED]} if self._sealed else {}
        elif form == "schema":
            schema = {
                "type": "json_schema",
                "name": prompt.kind,
                "strict": True,
                "schema": schema_of(prompt.reply),
            }
            request["text"] = {"format": schema}
        elif form == "object":
            request["text"] = {"format": {"type": "json_object"}}
        if self._effort:
            request["reasoning"] = {"effort": self._effort}
        return request

    async def _responses(
        self, rendered: Rendered, prompt: Prompt[Any], max_output: int, form: Form, *, forced: bool
    ) -> Completion:
        request = self._responses_request(rendered, prompt, max_output, form, forced=forced)
        final: Any = None
        streamed = responses.Streamed()
        async with await self._connection.client().responses.create(**request, stream=True) as events:
            quota = quota_of(events.response.headers)
            async for event in events:
                match event.type:
                    case "response.completed" | "response.incomplete":
                        final = event.response
                    case "response.failed":
                        raise self._failed(event.response.error)
                    case "error":
                        raise self._failed(event)
                    case _:
                        streamed.take(event)
        if final is None:
            raise Unavailable(f"{self.name}: the reply broke off before its end", in_doubt=True)
        usage = self._settled(prompt, final.usage, "input_tokens", "output_tokens")
        refusal = _refusal(final)
        text = streamed.turn(final, self.lane) if rendered.tools else json_in(final.output_text or streamed.pieces)
        return Completion(text=text, usage=usage, refusal=refusal, quota=quota)

    def _failed(self, error: Any) -> RunError:
        code = getattr(error, "code", None) or ""
        return error_of(Failure(provider="openai", code=code, message=getattr(error, "message", None) or ""))

    def _settled(self, prompt: Prompt[Any], usage: Any, asked: str, replied: str) -> Any:
        """Usage as billed; a server that does not tell is taken to have used what was counted."""
        asked_tokens = getattr(usage, asked, None) or 0
        details = getattr(usage, f"{asked}_details", None)
        return self._usage(
            input_tokens=asked_tokens or (0 if usage is not None else self.count(prompt)),
            output_tokens=getattr(usage, replied, None) or 0,
            cached_tokens=min(asked_tokens, getattr(details, "cached_tokens", None) or 0),
        )


def _joined(content: Any) -> str:
    """The text of a message; some servers send it in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return content or ""


def _refusal(response: Any) -> str | None:
    """What stands instead of an answer, if anything: a refusal part, or the content filter."""
    for item in response.output or ():
        for part in getattr(item, "content", None) or ():
            if getattr(part, "type", "") == "refusal":
                return str(part.refusal or "no reason was given")
    details = response.incomplete_details
    return "stopped by a content filter" if details is not None and details.reason == "content_filter" else None


def _client(url: str, api_key: str | None, read_seconds: float) -> AsyncOpenAI:
    hide(api_key)
    key = api_key or os.environ.get(KEY) or ("none" if is_loopback(url) else None)
    if not key:
        raise ModelError(f"no key for openai: set {KEY} in the environment")
    import httpx2
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient, OpenAIError

    timeout = httpx2.Timeout(read_seconds, connect=10.0)
    http = DefaultAsyncHttpxClient(timeout=timeout, event_hooks={"request": [about_to_write]})
    try:
        return AsyncOpenAI(api_key=key, base_url=url, max_retries=0, timeout=timeout, http_client=http)
    except (OpenAIError, ValueError) as error:
        raise ModelError(f"openai: {redact_text(str(error).splitlines()[0])}") from None


def _failure(error: Exception) -> Failure | None:
    """What an exception of the SDK or of the connection under it says; None for anything else."""
    import httpx2
    import openai

    name = "openai"
    match error:
        case openai.APIStatusError():
            return Failure(
                provider=name,
                status=error.status_code,
                code=error.code or "",
                kind=error.type or "",
                message=_words(error),
                headers=error.response.headers,
            )
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return Failure(provider=name, lost=True, late=True, sent=was_sent(error), message="no answer in time")
        case openai.APIConnectionError() | httpx2.TransportError():
            message = "the connection failed or broke off"
            return Failure(provider=name, lost=True, sent=was_sent(error), message=message)
        case openai.APIResponseValidationError() | ValueError() | TypeError() | AttributeError() | LookupError():
            # what came parses as JSON at most, and lacks what every reply has
            return Failure(
                provider=name, lost=True, message="the answer is not in OpenAI's format; check the base URL"
            )
        case openai.APIError():
            return Failure(provider=name, code=error.code or "", kind=error.type or "", message=error.message)
        case openai.OpenAIError():
            return Failure(provider=name, status=502, message=str(error))
        case _:
            return None


def _words(error: Any) -> str:
    """The server's message, wherever it put it."""
    body = error.body
    if isinstance(body, dict):
        for key in ("message", "error", "detail"):
            if isinstance(body.get(key), str):
                return str(body[key])
    return str(error.message)
