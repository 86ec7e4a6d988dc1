"""What becomes of a request: passed through where it fits the model's window, else folded, or answered here.

In this order: the body is read and understood, what it may come to is set aside, and only then anything is sent.
While long texts are read the connection is kept alive. This module wires the parts and knows no HTTP framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from time import monotonic
from typing import Any

from swarm.errors import StoreError
from swarm.observe.log import get_logger
from swarm.serve import admitted
from swarm.serve import body as bodies
from swarm.serve.answered import Answering, used_of
from swarm.serve.body import Body, Gone, Receive
from swarm.serve.clients import Client
from swarm.serve.counting import Counting
from swarm.serve.echoed import without
from swarm.serve.fold import Folded, Folding
from swarm.serve.own import Own
from swarm.serve.passing import DoesNotFit, Passing
from swarm.serve.readings import Spent
from swarm.serve.reply import STREAM, Reply, attended, headers_of
from swarm.serve.request import Request, Used, Wire, WireName, Wrong
from swarm.serve.spending import Account, Held
from swarm.serve.translated import native, translated
from swarm.serve.upstream import Behind, Upstream
from swarm.serve.wire import WIRES
from swarm.serve.wire.chat import asked_usage
from swarm.task import Limits

log = get_logger("serve")

ALIVE_SECONDS = 10.0
"""Between two signs of life, while a long text is read."""
_BYTES_A_TOKEN = 2  # at the most, on the whole, of what is read: most texts have four
_READ_OUTPUT = 8  # tokens read for one that readers write, at the most
_WINDOWS = 4  # times that a smaller window is learnt for one request
_BETA = b"beta=true"  # of a query, what Anthropic's SDK sends
_ASK_BYTES = 4 * 2**20  # of a body that the model behind is asked to count


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How the endpoint behaves. `concurrent` is for all clients together."""

    concurrent: int = 128
    body_seconds: float = bodies.WAIT_SECONDS
    alive_seconds: float = ALIVE_SECONDS
    patience_seconds: float = 60.0
    """For which one that is not streamed may still end in an error with a status of its own."""


@dataclass(kw_only=True)
class Asking:
    """One request on its way."""

    wire: Wire
    account: Account
    headers: dict[str, str]
    query: bytes
    reply: Reply
    body: Body
    request: Request
    route: str = "read"
    used: Used = field(default_factory=Used)


@dataclass(kw_only=True)
class Endpoint:
    """All that serves. `upstream` is None where there is no model behind."""

    terms: Terms
    folding: Folding
    counting: Counting
    accounts: dict[str, Account]
    upstream: Upstream | None = None
    _active: int = 0
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def model(self) -> str:
        """The name of the model, as clients see it."""
        return self.upstream.to.name if self.upstream is not None else "extractive"

    async def idle(self, seconds: float = 5.0) -> None:
        """Return when nothing is under way any more, or after so long."""
        if self._active:
            self._quiet.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._quiet.wait()

    # Requests

    async def serve(self, name: WireName, scope: Any, receive: Receive, send: Any, client: Client) -> None:
        """Answer a request of a wire."""
        wire, reply, began = WIRES[name], Reply(send), monotonic()
        asking: Asking | None = None
        outcome = "broke"
        try:
            with self._admitted(), self.accounts[client.name].at_work():
                asking = await self._asked(wire, scope, receive, reply, client)
                await attended(receive, reply, self._answer(asking))
            outcome = "answered"
        except Gone:
            outcome = "gone"
        except StoreError as error:
            log.error("the store cannot be used", error=str(error))
            outcome = "refused 503"
            await reply.wrong(_no_store(), wire)
        except Wrong as wrong:
            outcome = f"refused {wrong.status}"
            await reply.wrong(wrong, wire)
        finally:
            self._log(name, client, asking, outcome, reply, monotonic() - began)

    async def count(self, name: WireName, scope: Any, receive: Receive, send: Any, client: Client) -> None:
        """Tell the tokens of a request of a wire."""
        wire, reply = WIRES[name], Reply(send)
        try:
            with self._admitted(), self.accounts[client.name].at_work():
                asking = await self._asked(wire, scope, receive, reply, client)
                await attended(receive, reply, self._count(asking))
        except Gone:
            return
        except StoreError as error:
            log.error("the store cannot be used", error=str(error))
            await reply.wrong(_no_store(), wire)
        except Wrong as wrong:
            await reply.wrong(wrong, wire)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._active >= self.terms.concurrent:
            raise Wrong(503, "the endpoint has as much to do as it may", retry_after=2.0)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            if not self._active:
                self._quiet.set()

    async def _asked(self, wire: Wire, scope: Any, receive: Receive, reply: Reply, client: Client) -> Asking:
        headers = headers_of(scope)
        if headers.get("content-encoding", "identity") != "identity":
            raise Wrong(415, "send the body as it is, without a content-encoding")
        raw = await bodies.read(
            receive, client.request_bytes, headers.get("content-length"), self.terms.body_seconds
        )
        body = await without(await Body.of(raw))
        if key := headers.get("idempotency-key"):
            # the account behind is one for all clients, and none may come by another's reply
            headers["idempotency-key"] = blake2b(f"{client.name}\0{key}".encode(), digest_size=16).hexdigest()
        parse = partial(wire.parse, body.data, self.counting.count)
        request = parse() if len(raw) < bodies.LARGE else await asyncio.to_thread(parse)
        return Asking(
            wire=wire,
            account=self.accounts[client.name],
            headers=headers,
            query=_BETA if _BETA in scope.get("query_string", b"").split(b"&") else b"",
            reply=reply,
            body=body,
            request=replace(request, model=self.model),
        )

    async def _answer(self, asking: Asking) -> None:
        if self.upstream is None:
            await self._own(asking)
            return
        for _ in range(_WINDOWS):
            try:
                await self._sent(asking, self.upstream)
                return
            except DoesNotFit as error:
                # a window that was guessed, or told wrongly: what the model behind says is true from now on
                self.upstream.to.window = self.folding.window = error.limit
        raise Wrong(502, "the model behind does not say how much it holds")

    async def _sent(self, asking: Asking, upstream: Upstream) -> None:
        bound = admitted.bound_of(asking.request, upstream.to, asking.account.client)
        if asking.account.was_folded(asking.request.body.get("previous_response_id")):
            raise admitted.half_kept()
        fits, tokens, counted = await self._fits(asking, upstream.to, bound)
        if not fits:
            await self._folded(asking, upstream, bound)
        elif native(upstream.to, asking.request.wire):
            await self._passed(asking, upstream, bound, tokens, counted)
        else:
            await self._translated(asking, upstream, bound, tokens)

    async def _fits(self, asking: Asking, to: Behind, bound: admitted.Bound) -> tuple[bool, int, int]:
        """Whether the request goes into the window, the most that its tokens can be, and what was counted of
        them."""
        request, size = asking.request, len(asking.body.raw)
        room = to.window - bound.reply
        most = self.counting.at_most(request, size)
        if bound.elsewhere:
            return True, to.window, 0
        if most <= room and (
            not asking.account.client.bounded
            or asking.account.affords(bound.price, most * bound.times, bound.output_tokens)
        ):
            return True, most, 0
        if room <= 0:  # there is no way in which it could fit: the model behind says so in its own words
            return True, min(most, to.window), 0
        counted = await self.counting.tokens(request, most=room)
        return counted <= room, counted, counted

    # Ways to answer

    async def _passed(
        self, asking: Asking, upstream: Upstream, bound: admitted.Bound, tokens: int, counted: int
    ) -> None:
        asking.route = "passed"
        async with asking.account.holding(bound.price, tokens * bound.times, bound.output_tokens) as held:
            passing = Passing(upstream, asking.request, asking.reply, held, counted)
            try:
                await passing.run(asking.body, bound.changes, asking.headers, asking.query)
            finally:
                asking.used = passing.used

    async def _translated(self, asking: Asking, upstream: Upstream, bound: admitted.Bound, tokens: int) -> None:
        asking.route = "translated"
        target = WIRES[upstream.to.wires[asking.request.wire]]
        longest = asking.request.max_output or next(iter(bound.changes.values()), None)
        body = translated(asking.request, upstream.to, target, longest, upstream.to.window - tokens)
        async with asking.account.holding(bound.price, tokens * bound.times, bound.output_tokens) as held:
            await self._told(Answering(upstream, asking.request, asking.reply), body, target, held, asking)

    async def _told(
        self, answering: Answering, body: dict[str, Any], target: Wire, held: Held, asking: Asking
    ) -> None:
        try:
            await answering.run(body, target, held, asking.headers)
        finally:
            asking.used = answering.used + answering.more

    async def _folded(self, asking: Asking, upstream: Upstream, bound: admitted.Bound) -> None:
        asking.route = "folded"
        to, request = upstream.to, asking.request
        target = WIRES[to.wires[request.wire]]
        folded = await self._read(asking, to, bound)
        room = max(1, to.window - folded.tokens)
        body = {**folded.body, **{name: min(longest, room) for name, longest in bound.changes.items()}}
        drops = target is asking.wire and request.wire == "chat" and request.stream and not asked_usage(body)
        if target is not asking.wire:
            inner = asking.wire.parse(body, self.counting.count)
            body = translated(inner, to, target, inner.max_output, room)
        elif drops:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        answering = Answering(
            upstream,
            request,
            asking.reply,
            items=folded.items,
            more=used_of(folded.spent),
            told=folded.told,
            drops=drops,
            named=asking.account.folded if request.wire == "responses" else None,
        )
        async with asking.account.holding(bound.price, folded.tokens * bound.times, bound.output_tokens) as held:
            await self._told(answering, body, target, held, asking)

    async def _read(self, asking: Asking, to: Behind, bound: admitted.Bound) -> Folded:
        """The request made to fit, with what the client's limits leave for reading once the answer is set
        aside."""
        account, room = asking.account, to.window - bound.output_tokens
        limits = account.allowed()
        answer_usd = bound.price.worst(max(0, room) * bound.times, bound.output_tokens)
        if limits.cost_usd is not None:
            limits = Limits(cost_usd=max(0.0, limits.cost_usd - answer_usd), tokens=limits.tokens)
        if limits.tokens is not None:
            limits = Limits(cost_usd=limits.cost_usd, tokens=max(0, limits.tokens - to.window))
        read = len(asking.body.raw) // _BYTES_A_TOKEN
        written = read // _READ_OUTPUT
        share = _share(limits, to.price.worst(read, written), read + written)
        async with (
            account.holding(to.price, int(read * share), int(written * share), recorded=False) as held,
            self._alive(asking),
        ):
            # each call of a reading is in the journal by itself
            spent = Spent()
            try:
                return await self.folding.fold(
                    asking.wire, asking.request, account.client.name, limits, spent=spent
                )
            finally:
                held.settle(spent.usage)

    async def _own(self, asking: Asking) -> None:
        asking.route = "own"
        if (wrong := admitted.unanswerable(asking.request)) is not None:
            raise wrong
        async with self._alive(asking):
            answer: Own = await self.folding.answer(asking.request, asking.account.client.name, Limits())
        await Answering(None, asking.request, asking.reply, told=answer.told).own(answer)

    @asynccontextmanager
    async def _alive(self, asking: Asking) -> AsyncIterator[None]:
        """Say from time to time that the reply is still coming; where nobody takes it any more, the block ends."""
        try:
            async with asyncio.TaskGroup() as group:
                ticking = group.create_task(self._tick(asking))
                try:
                    yield
                finally:
                    ticking.cancel()
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _tick(self, asking: Asking) -> None:
        writing = asking.wire.writing(asking.request)
        if not asking.request.stream:
            await asyncio.sleep(self.terms.patience_seconds)
        while True:
            await asyncio.sleep(self.terms.alive_seconds)
            if not asking.request.stream:
                await asking.reply.wait()
                continue
            if not asking.reply.begun:
                await asking.reply.begin(200, STREAM)
            await asking.reply.events(writing.alive())

    # Counting

    async def _count(self, asking: Asking) -> None:
        name = asking.request.wire
        asks = self.upstream is not None and self.upstream.to.kind == "anthropic" and name == "messages"
        if asks and len(asking.body.raw) <= _ASK_BYTES and await self._asked_behind(asking):
            return
        tokens = await self.counting.tokens(asking.request)
        told: dict[str, Any] = {"input_tokens": tokens}
        if name == "responses":
            told["object"] = "response.input_tokens"
        await asking.reply.json(200, told)

    async def _asked_behind(self, asking: Asking) -> bool:
        """Whether the model behind has told the tokens."""
        assert self.upstream is not None
        body = asking.body.having({"model": self.upstream.to.name})
        try:
            async with self.upstream.sending(
                "messages", body, asking.headers, tail="/count_tokens", query=asking.query
            ) as response:
                if response.status_code != 200:
                    return False
                told = bodies.Body(await response.aread()).data
        except Wrong:
            return False
        await asking.reply.json(200, told)
        return True

    def _log(
        self, name: WireName, client: Client, asking: Asking | None, outcome: str, reply: Reply, seconds: float
    ) -> None:
        """One line for each request, with nothing of what it says."""
        used = asking.used if asking is not None else Used()
        log.info(
            "request",
            wire=name,
            client=client.name,
            route=asking.route if asking is not None else "none",
            outcome=outcome,
            status=reply.status,
            bytes=len(asking.body.raw) if asking is not None else 0,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            seconds=round(seconds, 3),
        )


def _no_store() -> Wrong:
    return Wrong(503, "the store of this endpoint cannot be used", retry_after=2.0)


def _share(limits: Limits, cost_usd: float, tokens: int) -> float:
    """How much of the worst case the limits hold, from 0 to 1."""
    shares = [1.0]
    if limits.cost_usd is not None and cost_usd > 0:
        shares.append(limits.cost_usd / cost_usd)
    if limits.tokens is not None and tokens > 0:
        shares.append(limits.tokens / tokens)
    return max(0.0, min(shares))
