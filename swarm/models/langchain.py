"""Any chat model of LangChain, given as an object or by name.

The reply is asked for with the chat model's own `with_structured_output`, or in words where it has none. The
longest reply and the retries are settings of the chat model itself: one made here from a name gets both, one made
elsewhere keeps what it has. Nothing is retried here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarm.errors import ModelError, RunError
from swarm.models.base import FREE, Completion, Price
from swarm.models.connection import was_sent
from swarm.models.counters import counter_of
from swarm.models.failures import Failure, about_form, about_tools, error_of
from swarm.models.langchain_messages import conversation, turn
from swarm.models.language import LanguageModel, json_in, schema_of, schema_text, sent_text
from swarm.models.prices import REPLY, known
from swarm.models.quota import quota_of
from swarm.models.tools import Acts, function
from swarm.observe.log import get_logger
from swarm.prompts.acting import REPORT
from swarm.prompts.render import Rendered, render_schema
from swarm.prompts.typed import Prompt
from swarm.tokens import Bound, TokenCounter

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

log = get_logger("models")

_OF_THE_NETWORK = ("Timeout", "Connect", "Transport", "Protocol", "NetworkError", "ReadError", "WriteError")
_LOCAL = {"ollama", "huggingface", "llamacpp"}


class LangChain(LanguageModel):
    """Wraps a `BaseChatModel`. `window`, `max_output`: tokens, None for what its profile tells."""

    request_tokens = 1_024  # a schema may travel as a tool, with a preamble of a few hundred tokens

    def __init__(
        self,
        chat_model: BaseChatModel,
        *,
        window: int | None = None,
        max_output: int | None = None,
        price: Price | None = None,
        counter: TokenCounter | None = None,
    ) -> None:
        told = chat_model._get_ls_params()
        provider = str(told.get("ls_provider") or chat_model._llm_type)
        model = str(told.get("ls_model_name") or type(chat_model).__name__)
        profile: Any = getattr(chat_model, "profile", None) or {}
        facts = known(provider, model, window or profile.get("max_input_tokens"))
        longest = told.get("ls_max_tokens") or min(profile.get("max_output_tokens", REPLY), REPLY)
        super().__init__(
            name=f"langchain:{provider}/{model}",
            window=facts.window,
            max_output=max_output or longest,
            price=price or (FREE if provider in _LOCAL else facts.price),
            counter=counter or _counter(provider, model),
        )
        self._chat_model = chat_model
        self._structured = True
        retries = getattr(chat_model, "max_retries", 0)  # None is a default of the provider's own package
        if retries != 0:
            # they are made where nobody sees them: no lane paces them, no limit counts them
            log.warning("the chat model may retry by itself", model=self.name, max_retries=retries)

    @classmethod
    def named(
        cls, name: str, *, window: int | None = None, max_output: int | None = None, price: Price | None = None
    ) -> LangChain:
        """The chat model `PROVIDER/MODEL`, as LangChain's own `init_chat_model` makes it.

        Raises:
            ModelError: LangChain, or its package for that provider, is not installed or refuses the settings.
        """
        provider, _, model = name.partition("/")
        if not model:
            raise ModelError(f"langchain needs PROVIDER/MODEL, such as langchain:openai/gpt-5-mini, not {name!r}")
        try:
            from langchain.chat_models import init_chat_model
        except ImportError:
            raise ModelError("langchain models need a package: pip install 'swarm-memory[langchain]'") from None
        longest = max_output or REPLY
        try:
            chat_model = init_chat_model(model, model_provider=provider, max_tokens=longest, max_retries=0)
        except Exception as error:
            # packages of other makers: each has errors of its own for a missing key or an unknown provider
            raise ModelError(f"langchain:{name}: {(str(error) or type(error).__name__).splitlines()[0]}") from None
        return cls(chat_model, window=window, max_output=longest, price=price)

    async def close(self) -> None:
        """The chat model belongs to whoever made it; LangChain has no way to close one."""

    async def _send(self, rendered: Rendered, prompt: Prompt[Any], max_output: int) -> Completion:  # noqa: ARG002  # a setting of the chat model
        while True:
            structured, acts = self._structured, self._acts
            asked = self._asked(rendered, acts)
            step = bool(asked.tools)
            try:
                if not step:
                    reply, parsed = await self._invoke(asked, prompt)
                    break
                if (bound := self._bound(asked, acts)) is not None:
                    reply, parsed = await bound.ainvoke(conversation(asked, self.lane)), None
                    break
                self._act_by("words")
                continue
            except RunError:
                raise
            except Exception as error:
                failure = _failure(error, self.name)
                if self._acts_otherwise(failure, rendered, acts):
                    continue
                if not step and structured and (about_form(failure) or about_tools(failure)):
                    self._structured = False
                    continue
                raise error_of(failure, sent=sent_text(rendered)) from None
        told: Any = reply.usage_metadata or {}
        usage = self._usage(
            input_tokens=told.get("input_tokens") or self._count(rendered, prompt),
            output_tokens=told.get("output_tokens") or 0,
            cached_tokens=told.get("input_token_details", {}).get("cache_read") or 0,
        )
        if step:
            text = turn(reply, self.lane)
        else:
            text = json.dumps(parsed, ensure_ascii=False) if isinstance(parsed, dict) else json_in(str(reply.text))
        stopped = reply.response_metadata.get("stop_reason") or reply.response_metadata.get("finish_reason")
        refusal = reply.additional_kwargs.get("refusal")
        if stopped in {"refusal", "content_filter", "SAFETY"}:
            refusal = refusal or f"stopped by the provider ({stopped})"
        headers = reply.response_metadata.get("headers")
        quota = quota_of(headers) if isinstance(headers, Mapping) else None
        return Completion(text=text, usage=usage, refusal=refusal or None, quota=quota)

    def _bound(self, rendered: Rendered, acts: Acts) -> Any:
        """The chat model with the tools, None where it has no way to be given any."""
        told = [{"type": "function", "function": function(tool)} for tool in rendered.tools]
        if rendered.force and acts == "forced":
            try:
                return self._chat_model.bind_tools(told, tool_choice=REPORT)
            except (TypeError, ValueError):
                pass  # it cannot be forced
            except NotImplementedError:
                return None
        try:
            return self._chat_model.bind_tools(told)
        except NotImplementedError:
            return None

    async def _invoke(self, rendered: Rendered, prompt: Prompt[Any]) -> tuple[Any, Any]:
        """The raw message, and the object in it where the chat model took it out itself."""
        from langchain_core.messages import HumanMessage, SystemMessage

        human = HumanMessage("\n\n".join(rendered.parts))
        while self._structured:
            schema = {"title": prompt.kind, "description": "The reply", **schema_of(prompt.reply)}
            try:
                asking = self._chat_model.with_structured_output(schema, include_raw=True)
            except (NotImplementedError, ValueError):
                self._structured = False
                break
            got: Any = await asking.ainvoke([SystemMessage(rendered.system), human])
            return got["raw"], got["parsed"]
        system = f"{rendered.system}\n\n{render_schema(schema_text(prompt.reply))}"
        return await self._chat_model.ainvoke([SystemMessage(system), human]), None

    def _extra_texts(self, prompt: Prompt[Any]) -> tuple[str, ...]:
        return () if self._structured else (render_schema(schema_text(prompt.reply)),)


def _counter(provider: str, model: str) -> TokenCounter:
    return Bound() if provider == "anthropic" else counter_of(model, hosted=provider in {"openai", "azure"})


def _failure(error: Exception, name: str) -> Failure:
    """Providers' packages raise errors of their own; what they have in common is a status and a message."""
    from langchain_core import exceptions

    response = getattr(error, "response", None)
    code = getattr(error, "code", None)
    told = (getattr(error, "status_code", None), getattr(response, "status_code", None), code)
    status = next((value for value in told if isinstance(value, int) and value >= 400), None)
    match error:
        case exceptions.ContextOverflowError():
            status, code = 400, "context_length_exceeded"
        case exceptions.ModelRateLimitError():
            status = 429
        case exceptions.ModelNotFoundError():
            status = 404
        case _ if status is None and _passes(error):
            kind = type(error).__name__
            late, sent = "Timeout" in kind, was_sent(error)
            return Failure(provider=name, lost=True, late=late, sent=sent, message=f"{kind} in the chat model")
        case _:
            pass
    message = str(error) if status else f"{type(error).__name__}: {error}"
    headers = getattr(response, "headers", None) or {}
    return Failure(
        provider=name,
        status=status or 400,
        code=code if isinstance(code, str) else "",
        message=message,
        headers=headers,
    )


def _passes(error: Exception) -> bool:
    """Whether an error without a status is of the network or of what came over it, and may pass."""
    from langchain_core import exceptions

    transient = (exceptions.ModelAPIError, exceptions.ModelConnectionError, exceptions.ModelTimeoutError)
    if isinstance(error, (*transient, TimeoutError, ConnectionError, json.JSONDecodeError, AttributeError)):
        return True
    return any(word in type(error).__name__ for word in _OF_THE_NETWORK)
