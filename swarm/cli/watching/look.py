"""From a run that is followed to what is shown of it: a frame at a time, each at about the same cost however long
the run is.

Sums over all calls are kept and added to; of everything else only so much is read as a screen holds. This module
knows no screen. Not for several threads at once, as the follower is not.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from pydantic import ValidationError

from swarm.cli.again import resume_with
from swarm.cli.options import Settings
from swarm.cli.plain import clean
from swarm.cli.watching.frame import AtWork, Claim, Disputes, Failure, Fill, Frame, Gauge, Head, OnMachine, Places
from swarm.cli.watching.tree import Tree, Wish
from swarm.cli.watching.words import Names, doing, shown
from swarm.coordinator.records import ANSWER
from swarm.inspect.alive import Alive
from swarm.inspect.calls import UNDER_WAY, Calls
from swarm.inspect.follow import Follower, Found
from swarm.task import Answer, Limits

_AT_A_TIME_SECONDS = 0.25  # of reading, until what was read so far is shown
_WORKERS = 200
_MACHINES = 100
_FINDINGS = 40
_FAILURES = 100
_INSTRUCTIONS = 50
_LAST_CALLS = 120
_UNDER_WAY = 256  # of the last calls, those that are looked at for who is at work
_PACE_SECONDS = 120.0
_LEAST_SECONDS = 8.0  # of a pace that anything is told from


class Fills:
    """How full windows were: sums over calls, each of which is looked at once."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._known = self._count = 0
        self._sum = self._most = 0.0
        self._fullest = -1
        self._last: deque[float] = deque(maxlen=_LAST_CALLS)

    def look(self, name: Callable[[str], str]) -> Fill:
        """With the calls that came since the last look. `name` tells that of an asker; empty: it has none."""
        calls = self._calls
        for row in range(self._known, len(calls)):
            if (fill := calls.fill(row)) is not None:
                self._last.append(fill)
                self._sum += fill
                self._count += 1
                if fill > self._most:
                    self._most, self._fullest = fill, row
        self._known = len(calls)
        by = calls.asked_by(self._fullest) if self._fullest >= 0 else ""
        kind = calls.kinds.texts[calls.kind[self._fullest]] if self._fullest >= 0 else ""
        return Fill(
            last=tuple(self._last),
            mean=self._sum / self._count if self._count else 0.0,
            fullest=self._most,
            fullest_by=" of ".join(part for part in (shown(kind, 20), name(by)) if part),
            calls=self._count,
            window=calls.room[self._fullest] if self._fullest >= 0 else 0,
        )


class Pace:
    """How fast slices are settled: by what was seen of the last minutes."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def left(self, now: float, settled: int, to_go: int) -> float | None:
        """Seconds until all are settled, at this pace; None where there is none."""
        if self._seen and settled < self._seen[-1][1]:
            self._seen.clear()  # it went on: what failed is tried again
        if not self._seen or now - self._seen[-1][0] >= 1.0:
            self._seen.append((now, settled))
        while now - self._seen[0][0] > _PACE_SECONDS:
            self._seen.popleft()
            if not self._seen:
                return None
        at, before = self._seen[0]
        if not to_go or settled == before or now - at < _LEAST_SECONDS:
            return None
        return (now - at) / (settled - before) * to_go


class Look:
    """Looks at one run again and again. `store` is as the user named it."""

    def __init__(self, followed: Follower) -> None:
        self.followed = followed
        plan = followed.plan
        self.names = Names(followed.names)
        self.disputes: Disputes | None = None
        """What was found last of contradictions: set by whoever looks for them."""
        self._alive = Alive(followed)
        self._tree = Tree(plan, followed.calls, followed.costs, self.names)
        self._fills = Fills(followed.calls)
        self._pace = Pace()
        self._again: tuple[tuple[object, ...], str] = ((), "")

    def next(self, wish: Wish = Wish()) -> Frame:  # noqa: B008 - frozen
        """Read what is new, for a moment at the most, and tell how it stands.

        Raises:
            StoreError: the store cannot be read any more.
        """
        begun = time.monotonic()
        while (more := self.followed.poll()) and time.monotonic() - begun < _AT_A_TIME_SECONDS:
            pass
        return self.frame(wish, behind=more)

    def frame(self, wish: Wish, *, behind: bool = False) -> Frame:
        """How it stands, as far as it was read."""
        followed, plan = self.followed, self.followed.plan
        now = followed.clock()
        spent = followed.spent
        return Frame(
            now=now,
            version=followed.version,
            head=self._head(now, behind),
            gauges=tuple(self._gauges(now)),
            rates=tuple(self._rates()),
            cached_tokens=spent.cached_tokens,
            input_tokens=spent.input_tokens,
            states=tuple((state, count) for state, count in plan.states.items() if count),
            rows=self._tree.rows(wish, now),
            places=self._places(now),
            fill=self._fill(),
            findings=tuple(Claim(text=shown(one.claim), slice=one.slice, at=one.at) for one in self._latest()),
            disputes=self.disputes,
            failures=tuple(self._failure(id_) for id_ in islice(reversed(plan.failed), _FAILURES)),
            failed=len(plan.failed),
            instructions=tuple(shown(text) for text in followed.instructions[: -_INSTRUCTIONS - 1 : -1]),
            machines=self._machines(),
        )

    def _latest(self) -> list[Found]:
        return self.followed.latest(_FINDINGS)

    def _head(self, now: float, behind: bool) -> Head:
        followed, task, plan = self.followed, self.followed.task, self.followed.plan
        session = followed.sessions[-1] if followed.sessions else None
        begun = session.at if session is not None else followed.begun
        settled = sum(plan.states[state] for state in ("done", "failed", "dropped"))
        to_go = plan.states["ready"] + plan.states["running"]
        left = self._pace.left(now, settled, to_go) if followed.status == "running" and not behind else None
        model = ""
        if session is not None:
            same = session.reader == session.model
            model = shown(session.model if same else f"{session.model}, read by {session.reader}")
        return Head(
            run=shown(followed.run),
            status=followed.status,
            why=shown(followed.why or ""),
            phase=followed.phase,
            works=task is not None and task.mode == "work",
            asked=shown("; ".join(task.questions) or task.output if task is not None else ""),
            of=shown(", ".join(task.paths[:20]) if task is not None else ""),
            model=model,
            window=session.window if session is not None else None,
            host=shown(session.host if session is not None else ""),
            session=len(followed.sessions),
            begun=followed.begun,
            went=max(0.0, (now if followed.live else followed.last) - begun),
            left=left,
            records=sum(followed.counts.values()),
            behind=behind,
            again="" if behind or followed.live else self._how_to_go_on(),
            answer=self._answer(),
        )

    def _answer(self) -> str:
        """What it came to, in short, where it is over."""
        followed = self.followed
        if followed.live or followed.answer is None:
            return ""
        return shown(str(followed.answer.get("short") or followed.answer.get("text") or ""), 4 * 400)

    def _how_to_go_on(self) -> str:
        """The command that goes on with a run that is not done: looked up once each time that it ends."""
        followed = self.followed
        state = (followed.status, followed.why, len(followed.sessions))
        if self._again[0] != state:
            answer = self._whole_answer()
            over = answer is not None and answer.complete and followed.why is None
            where = followed.opened.where
            settings = Settings(store=str(where) if where is not None else None)
            self._again = (state, "" if over else clean(resume_with(settings)(followed.run, answer)))
        return self._again[1]

    def _whole_answer(self) -> Answer | None:
        try:
            return ANSWER.validate_python(self.followed.answer) if self.followed.answer is not None else None
        except ValidationError:  # another version's
            return None

    def _gauges(self, now: float) -> list[Gauge]:
        """What was used; seconds are those of this session, as their limit is."""
        followed, limits, spent = self.followed, self.followed.limits, self.followed.spent
        begun = followed.sessions[-1].at if followed.sessions else followed.begun
        went = max(0.0, (now if followed.live else followed.last) - begun)
        used = {"cost_usd": spent.cost_usd, "tokens": spent.tokens, "calls": spent.calls, "wall_seconds": went}
        gauges = [_gauge(name, value, limits) for name, value in used.items()]
        slices = sum(count for state, count in followed.plan.states.items() if state not in ("ready", "dropped"))
        return [*gauges, *([_gauge("slices", slices, limits)] if limits.slices is not None else [])]

    def _rates(self) -> list[Gauge]:
        rate, limits = self.followed.rate(), self.followed.limits
        used = {
            "requests_per_minute": rate.requests,
            "input_tokens_per_minute": rate.input_tokens,
            "output_tokens_per_minute": rate.output_tokens,
        }
        return [_gauge(name, value, limits) for name, value in used.items()]

    def _places(self, now: float) -> Places:
        plan = self.followed.plan
        busy, of = self.followed.places
        slices = sorted((plan.slices[id_] for id_ in plan.running), key=lambda one: one.begun or 0.0)
        kinds = self._kinds()
        workers = [
            AtWork(
                key=one.slice.id,
                name=self.names.of(one),
                doing=kinds.pop(one.slice.id, ("", 0.0))[0] or ("plan" if one.slice.order else "read"),
                seconds=max(0.0, now - (one.begun or now)),
                cost_usd=one.cost_usd,
                machine=shown(plan.machines.name(one.machine)) if one.machine else "",
            )
            for one in slices[:_WORKERS]
        ]
        others = [
            AtWork(key="", name="coordinator", doing=does, seconds=max(0.0, now - at), cost_usd=0.0)
            for asker, (does, at) in kinds.items()
            if asker not in plan.slices
        ]
        return Places(busy=busy, of=of, workers=(*others, *workers))

    def _machines(self) -> tuple[OnMachine, ...]:
        known, seen = self.followed.plan.machines, self._alive.seen()
        return tuple(
            OnMachine(
                name=shown(known.name(one.id)),
                life=seen[one.id].life if one.id in seen else "",
                draining=one.id in seen and seen[one.id].draining,
                working=one.slices["running"],
                done=one.slices["done"],
                failed=one.slices["failed"],
                lost=one.lost,
            )
            for one in islice(known.known.values(), _MACHINES)
        )

    def _kinds(self) -> dict[str, tuple[str, float]]:
        """By who asked for a call that is under way: what it is for, and since when. Of a run that nobody is at,
        none is."""
        calls = self.followed.calls
        if not self.followed.live:
            return {}
        first = max(0, len(calls) - _UNDER_WAY)
        rows = [
            row for row in range(first, len(calls)) if row in calls.under_way and calls.state[row] == UNDER_WAY
        ]
        askers = ((calls.asked_by(row), row) for row in rows)
        return {
            asker: (doing(asker, calls.kinds.texts[calls.kind[row]]), calls.begun[row]) for asker, row in askers
        }

    def _fill(self) -> Fill:
        return self._fills.look(self._name)

    def _name(self, asker: str) -> str:
        seen = self.followed.plan.slices.get(asker)
        return self.names.of(seen) if seen is not None else ""

    def _failure(self, id_: str) -> Failure:
        seen = self.followed.plan.slices[id_]
        return Failure(key=id_, name=self.names.of(seen), why=shown(seen.why))


def _gauge(name: str, used: float, limits: Limits) -> Gauge:
    limit = getattr(limits, name)
    return Gauge(name=name, used=used, limit=None if limit is None or limit == float("inf") else float(limit))
