"""A provider on a loopback address that speaks the formats of Anthropic and OpenAI, and fails as they do.

    with Provider(window=8_000) as provider:
        model = connect("openai:any", base_url=provider.openai_url)

It counts tokens and refuses prompts past its window, and requests past its rates; what it says comes from the
prompt itself (`mimic`), as well as it is set to read (`ability`), or from a mind of your own; what goes wrong is
set as a list of faults, used up one a request, or as a plan (`faults`). `simulated` is all of it as one value, and
`python -m swarm.testing.provider` the same in a process of its own (`process`). Speed and prices are not a
model's: what it takes is what `latency` says.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any, Literal, Self

from swarm.testing.ability import PERFECT, Ability
from swarm.testing.allowance import Allowance, Enforcer, retry_after
from swarm.testing.delivery import Replies, break_off, content_type, spoiled
from swarm.testing.exchange import Exchange, Receive, Scope, Send
from swarm.testing.faults import Arrival, Fault, Latency, Plan
from swarm.testing.loopback import Loopback
from swarm.testing.seen import Hands
from swarm.testing.tally import Tally
from swarm.testing.thoughts import Hosted, Mind, Think, Thought
from swarm.testing.wire import CHAT, MESSAGES, RESPONSES, Asked, Format, Said
from swarm.tokens import o200k

__all__ = ["Allowance", "Dialect", "Fault", "Provider"]

Dialect = Literal["anthropic", "openai", "vllm", "llamacpp", "ollama"]
_FORMS = {"/v1/messages": MESSAGES, "/v1/chat/completions": CHAT, "/v1/responses": RESPONSES}
_NO_FAULT = Fault()

_TOO_LONG = {
    "anthropic": ("", "prompt is too long: {tokens} tokens > {window} maximum"),
    "openai": (
        "context_length_exceeded",
        "This model's maximum context length is {window} tokens. "
        "However, your messages resulted in {tokens} tokens.",
    ),
    "vllm": (
        "",
        "This model's maximum context length is {window} tokens. However, you requested {tokens} tokens in the "
        "messages, Please reduce the length of the messages.",
    ),
    "llamacpp": (
        "exceed_context_size_error",
        "request ({tokens} tokens) exceeds the available context size ({window} tokens), try increasing it",
    ),
}


class Provider(Loopback):
    """A server on a thread of its own, from `with` to the end of its block.

    `window` is in tokens of `tokenizer` (o200k unless given). `faults` is what goes wrong: with one request after
    the other, or by a plan. `latency` is in seconds, or says so for each request, and each token of a reply takes
    `token_seconds` on top. `allowance` is how much may be used, None any amount, by `clock`. `ability` is how well
    it reads, by dice of that `seed`, and `mind` answers in its place: it is handed the text of a request and the
    schema of its reply. `hands` acts where a request brings tools (`seen`); without them, what would be said is
    handed in at once. `models` tells what differs for models of those names. `structured` and `forced_tools` say
    which mechanisms it has for a schema, `tools` whether it takes tools, and `thoughtful` whether each turn comes
    with an opaque thought that it wants back. `key` is the only key it accepts, None any. `requests` holds the
    body of each request, unless `keep` is false. `tally` counts them, `enforcer` has the ledger of what was
    allowed.
    """

    def __init__(
        self,
        *,
        window: int = 32_768,
        dialect: Dialect = "openai",
        tokenizer: Callable[[str], int] = o200k,
        faults: Iterable[Fault | None] | Plan = (),
        latency: float | Latency = 0.0,
        allowance: Allowance | None = None,
        structured: bool = True,
        forced_tools: bool = True,
        novel: bool = False,
        key: str | None = None,
        keep: bool = True,
        token_seconds: float = 0.0,
        ability: Ability = PERFECT,
        mind: Think | None = None,
        hands: Hands | None = None,
        tools: bool = True,
        thoughtful: bool = False,
        seed: int = 0,
        models: Mapping[str, Hosted] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.window = window
        self.dialect = dialect
        self.faults: deque[Fault | None] = deque(() if callable(faults) else faults)
        """What goes wrong with the next requests; where it is empty, the plan says."""
        self.plan = faults if callable(faults) else None
        self.latency = latency
        self.allowance = allowance
        self.structured = structured
        self.forced_tools = forced_tools
        self.novel = novel
        self.key = key
        self.keep = keep
        self.token_seconds = token_seconds
        self.ability = ability
        self.mind = mind
        self._hands = hands
        self.tools = tools
        self.thoughtful = thoughtful
        self.seed = seed
        self.models = models or {}
        self.clock = clock
        self.tokenizer = tokenizer
        self._replies = Replies()
        self.reset()

    def reset(self) -> None:
        """Forget all requests: counts, rates, what was cached. What is set stays as it is."""
        self.requests: list[dict[str, Any]] = []
        self.tally = Tally()
        self.enforcer = Enforcer(self.allowance, self.clock) if self.allowance is not None else None
        self._cached: set[int] = set()

    @property
    def openai_url(self) -> str:
        """The base URL that OpenAI's SDK wants."""
        return f"{self.url}/v1"

    def count(self, asked: Asked) -> int:
        """Tokens of a request, as the provider bills them."""
        return self._mind.size(asked)

    @property
    def tokenizer(self) -> Callable[[str], int]:
        """Tokens of a text, as the provider bills them. It may be changed between requests."""
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Callable[[str], int]) -> None:
        self._tokenizer, self._mind = tokenizer, Mind(tokenizer, self.ability, self.seed, self.mind, self._hands)

    @property
    def hands(self) -> Hands | None:
        """Who acts where there are tools to use. It may be changed between requests."""
        return self._hands

    @hands.setter
    def hands(self, hands: Hands | None) -> None:
        self._hands = hands
        self.tokenizer = self._tokenizer

    @asynccontextmanager
    async def here(self) -> AsyncIterator[Self]:
        """Serve in the running event loop, for the length of the block, by the clock of that loop."""
        server, listening = self.server()
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.on_tick(0)
        await server.startup(sockets=[listening])
        try:
            yield self
        finally:
            await server.shutdown(sockets=[listening])

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        body = await exchange.body()
        if (form := _FORMS.get(exchange.path)) is not None:
            await self._serve(form, exchange, body)
        elif exchange.path == "/v1/messages/count_tokens":
            asked = MESSAGES.read({"max_tokens": 1} | json.loads(body))
            await exchange.reply_json(200, {}, {"input_tokens": self.count(asked)})
        elif exchange.path.startswith("/swarm/"):
            await self._tell(exchange)
        else:
            await exchange.reply_json(404, {}, CHAT.error(404, "", f"nothing is at {exchange.path}"))

    async def _tell(self, exchange: Exchange) -> None:
        """What tests in other processes ask: see `process`."""
        status, said = 200, dict[str, Any]()
        match exchange.path.removeprefix("/swarm/"):
            case "counts":
                said = self.tally.summary()
            case "ledger" if self.enforcer is not None:
                said = self.enforcer.ledger.columns()
            case "reset":
                self.reset()
            case "wait":
                status = 200 if await self._reached(**{k: int(v) for k, v in exchange.query.items()}) else 504
            case _:
                status = 404
        await exchange.reply_json(status, {}, said)

    async def _reached(self, requests: int = 0, replies: int = 0, quiet: int = 0, seconds: int = 60) -> bool:
        deadline = time.monotonic() + seconds
        while not self.tally.reached(requests, replies, bool(quiet)):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.001)
        return True

    async def _serve(self, form: Format, exchange: Exchange, body: bytes) -> None:
        if self.keep:
            self.requests.append(json.loads(body))
        key = blake2b(exchange.path.encode() + body, digest_size=12).hexdigest()
        tally, outcome = self.tally, "broken"
        number = tally.requests
        attempt = tally.arrive(key)
        try:
            outcome = await self._answer(
                form, exchange, Arrival(key=key, attempt=attempt, number=number, body=body)
            )
        finally:
            tally.leave(key, outcome)

    async def _answer(self, form: Format, exchange: Exchange, arrival: Arrival) -> str:
        """Send what there is to send, and say what became of it, as in `Tally`."""
        fault = self._fault(arrival) or _NO_FAULT
        if fault.body is not None or fault.status:
            await asyncio.sleep(fault.wait)
            await self._fail(form, exchange, fault)
            return "error"
        try:
            thought = self._mind.think(form, arrival.key, arrival.body, arrival.attempt)
            if (hosted := self.models.get(thought.asked.model)) is not None:
                thought = hosted.billed(thought)
            refused = self._refused(exchange, thought)
        except ValueError as error:
            refused = 400, "", str(error)
        if refused is not None:
            await exchange.reply_json(refused[0], self._rate_headers(form), form.error(*refused))
            return "error"
        said = self._said(thought, fault)
        if (late := self._too_fast(thought.tokens, said.output_tokens)) is not None:
            seconds, message = late
            headers = {**self._rate_headers(form), **(retry_after(seconds) if seconds < float("inf") else {})}
            await exchange.reply_json(429, headers, form.error(429, "", message))
            return "refused"
        self.tally.bill(said.input_tokens, said.output_tokens)
        return await self._deliver(form, exchange, arrival, thought.asked, said, fault)

    async def _fail(self, form: Format, exchange: Exchange, fault: Fault) -> None:
        headers = {**self._rate_headers(form), **fault.headers}
        if fault.body is not None:
            await exchange.reply(fault.status or 200, headers, fault.body.encode(), fault.content_type)
        else:
            await exchange.reply_json(fault.status, headers, form.error(fault.status, fault.code, fault.message))

    async def _deliver(
        self, form: Format, exchange: Exchange, arrival: Arrival, asked: Asked, said: Said, fault: Fault
    ) -> str:
        headers = self._rate_headers(form)
        latency = self.latency(arrival) if callable(self.latency) else self.latency
        latency += fault.wait + self.token_seconds * said.output_tokens
        if latency > 0:
            await asyncio.sleep(latency)
        if fault.breaks:
            await break_off(exchange, form, asked, said, fault, headers)
            return "broken"
        body = self._replies.body(
            form, asked, said, arrival.key if self._mind.repeats and fault is _NO_FAULT else ""
        )
        if not asked.stream:
            headers["content-length"] = str(len(body))
        await exchange.begin(200, headers, content_type(asked))
        return "answered" if await exchange.end(body) else "broken"

    def _fault(self, arrival: Arrival) -> Fault | None:
        if self.faults:
            return self.faults.popleft()
        return self.plan(arrival) if self.plan is not None else None

    def _refused(self, exchange: Exchange, thought: Thought) -> tuple[int, str, str] | None:
        asked = thought.asked
        given = exchange.headers.get("x-api-key") or exchange.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        if self.key is not None and given != self.key:
            return 401, "", f"Incorrect API key provided: {given}"
        missing = not self.structured and asked.mechanism in {"output_config", "json_schema", "json_object"}
        if missing or (not self.forced_tools and asked.mechanism == "tool_choice"):
            name = asked.mechanism if asked.mechanism in {"output_config", "tool_choice"} else "response_format"
            return 400, "", f"{name} is not supported by this model"
        if (wrong := self._acts_wrongly(asked)) is not None:
            return 400, "", wrong
        window = self._window(thought)
        if thought.tokens + asked.max_output > window and self.dialect != "ollama":
            code, words = _TOO_LONG[self.dialect]
            return 400, code, words.format(tokens=thought.tokens, window=window)
        return None

    def _acts_wrongly(self, asked: Asked) -> str | None:
        """What there is to object to in a request that brings tools."""
        if asked.tools and not self.tools:
            return f"{asked.model} does not support tools"
        if asked.force and not self.forced_tools:
            return "Thinking may not be enabled when tool_choice forces tool use."
        if self.thoughtful and any(turn.thought != _thought_of(n) for n, turn in enumerate(asked.turns)):
            return "thinking blocks in the latest assistant message cannot be modified"
        return None

    def _window(self, thought: Thought) -> int:
        hosted = self.models.get(thought.asked.model)
        return hosted.window if hosted is not None else self.window

    def _too_fast(self, input_tokens: int, output_tokens: int) -> tuple[float, str] | None:
        """Seconds to wait and what to say, where the rates do not allow the request now."""
        if self.enforcer is None:
            return None
        seconds, name = self.enforcer.admit(input_tokens, output_tokens)
        if name is None:
            return None
        what = name.replace("_", " ")
        if seconds == float("inf"):
            limit = getattr(self.enforcer.allowance, name)
            requested = {"input_tokens": input_tokens, "output_tokens": output_tokens}
            most = requested.get(name, input_tokens + output_tokens)
            return seconds, f"Request too large for {what} per min: Limit {limit}, Requested {most}."
        return seconds, f"Rate limit reached for {what} per min. Please try again in {seconds:.3f}s."

    def _rate_headers(self, form: Format) -> dict[str, str]:
        if self.enforcer is None:
            return {}
        return self.enforcer.anthropic_headers() if form is MESSAGES else self.enforcer.openai_headers()

    def _said(self, thought: Thought, fault: Fault) -> Said:
        cached = max((tokens for name, tokens in thought.prefixes if name in self._cached), default=0)
        written = max((tokens for _, tokens in thought.prefixes), default=0) - cached
        self._cached.update(name for name, _ in thought.prefixes)
        acting = bool(thought.asked.tools)
        said = Said(
            text=thought.text,
            input_tokens=min(thought.tokens, self._window(thought)),
            output_tokens=thought.text_tokens,
            cached=cached,
            written=written,
            novel=self.novel,
            calls=thought.calls,
            thought=_thought_of(len(thought.asked.turns)) if acting and self.thoughtful else "",
        )
        return spoiled(said, fault, thought.asked.max_output, self.tokenizer)


def _thought_of(turn: int) -> str:
    """What nobody but the provider can read."""
    return b64encode(blake2b(b"thought %d" % turn).digest()).decode()


if __name__ == "__main__":
    from swarm.testing.process import serve, settings

    _settings, _port = settings()
    serve(Provider(**_settings), _port)
