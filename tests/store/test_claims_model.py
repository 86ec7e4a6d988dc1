"""Claims come to what a model of a few lines says, whatever is asked of them and in whatever order."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from swarm.errors import StaleLease
from swarm.store.claims import Lease
from swarm.store.database import Database
from swarm.store.sqlite import SqliteJournal
from swarm.store.sqlite_claims import SqliteClaims
from swarm.testing.conformance import call_key, entry, intent, reply

_LASTS = 10.0
REFS = st.sampled_from("abc")


class Claiming(RuleBasedStateMachine):
    """`under_way` is what is known of each slice: the lease that it has, if any, and whether it is handed in."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database.open(Path(self.folder.name) / "store.db")
        self.now = 1_000.0
        self.claims = SqliteClaims(self.database, lambda: self.now)
        self.journal = SqliteJournal(self.database, lambda: self.now)
        self.under_way: dict[str, tuple[Lease | None, bool]] = {}
        self.until: dict[int, float] = {}
        self.leases: list[Lease] = []
        self.written: list[str] = []
        self.begun: dict[int, int] = {}
        self.lost = 0
        self.count = 0

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def do(self, asked: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(asked)

    def lasts(self, lease: Lease) -> bool:
        return self.under_way.get(lease.ref) == (lease, False) and self.until[lease.epoch] > self.now

    def over(self, lease: Lease | None) -> None:
        """What was begun under a lease and not ended is lost."""
        self.lost += self.begun.pop(lease.epoch, 0) if lease is not None else 0

    @rule(ref=REFS)
    def offer(self, ref: str) -> None:
        self.do(self.claims.offer("run", {ref: b""}))
        self.under_way.setdefault(ref, (None, False))

    @rule(ref=REFS)
    def claim(self, ref: str) -> None:
        lease = self.do(self.claims.claim("run", ref, "worker", _LASTS))
        before, handed = self.under_way.get(ref, (None, True))
        free = not handed and (before is None or not self.lasts(before))
        assert (lease is not None) == free
        if lease is not None:
            assert all(lease.epoch > other.epoch for other in self.leases)
            self.over(before)
            self.leases.append(lease)
            self.under_way[ref] = (lease, False)
            self.until[lease.epoch] = self.now + _LASTS

    @rule()
    def renew(self) -> None:
        renewed = self.claims.renew(self.leases, _LASTS)
        assert renewed == {lease.epoch for lease, handed in self.under_way.values() if lease and not handed}
        self.until |= dict.fromkeys(renewed, self.now + _LASTS)

    @rule(seconds=st.sampled_from([1.0, _LASTS, _LASTS + 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(which=st.integers(0, 20))
    def write(self, which: int) -> None:
        if not self.leases:
            return
        lease = self.leases[which % len(self.leases)]
        self.count += 1
        fenced, key = self.journal.under(lease), str(self.count)
        try:
            self.do(fenced.append("run", entry(key)))
            self.do(fenced.begin_call(intent("run", self.count)))
            if self.count % 2:
                self.do(fenced.finish_call("run", call_key(self.count), reply("x")))
        except StaleLease:
            assert not self.lasts(lease)
        else:
            assert self.lasts(lease)
            self.written.append(key)
            self.begun[lease.epoch] = self.begun.get(lease.epoch, 0) + (1 - self.count % 2)

    @rule(which=st.integers(0, 20))
    def hand_in(self, which: int) -> None:
        if not self.leases:
            return
        lease = self.leases[which % len(self.leases)]
        try:
            self.do(self.claims.hand_in(lease, b""))
        except StaleLease:
            assert not self.lasts(lease)
        else:
            assert self.lasts(lease) or self.under_way[lease.ref] == (lease, True)
            self.under_way[lease.ref] = (lease, True)

    @rule(which=st.integers(0, 20))
    def let_go(self, which: int) -> None:
        if not self.leases:
            return
        lease = self.leases[which % len(self.leases)]
        self.do(self.claims.let_go(lease))
        if self.under_way.get(lease.ref) == (lease, False):
            self.under_way[lease.ref] = (None, False)
            self.over(lease)

    @rule(ref=REFS)
    def withdraw(self, ref: str) -> None:
        self.do(self.claims.withdraw("run", [ref]))
        self.over(self.under_way.pop(ref, (None, False))[0])

    @rule()
    def settle(self) -> None:
        self.do(self.journal.settle_lost("run"))

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "claims"):
            return
        stands = {one.ref: (one.state, one.epoch) for one in self.claims.standings("run")}
        assert stands == {
            ref: ("handed" if handed else "claimed" if lease else "offered", lease.epoch if lease else 0)
            for ref, (lease, handed) in self.under_way.items()
        }
        handed_in = sorted(lease.epoch for lease, handed in self.under_way.values() if lease and handed)
        assert [one.epoch for one in self.claims.handed("run")] == handed_in
        assert self.journal.keys("run", "report") == self.written
        finished = sum(int(key) % 2 for key in self.written)
        assert self.journal.spent("run").calls == finished + self.lost


TestClaiming = Claiming.TestCase
TestClaiming.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
