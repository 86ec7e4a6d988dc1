"""Which slices are ready: those whose needs are settled, fair between branches, by priority and age within one.

Only the live part is held. What is settled is forgotten at once, so a need that is not live counts as settled, and
memory follows the width of a plan and not its length. References are added after what they need: there can be no
cycle. It knows references and counts; what a slice is, and what executes it, it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

_WAITING, _READY, _RUNNING, _GONE = range(4)
_SLACK = 32  # entries that no longer hold, which a heap may keep beside as many that do


@dataclass(slots=True, eq=False)
class _Node:
    """One live reference. The lowest `rank`, and then the lowest `age`, comes first in its branch. It waits for
    `missing` of its `needs`; `waiters` are in the order in which they came, and None where there never was one."""

    ref: str
    branch: _Branch
    rank: int
    age: int
    needs: tuple[_Node, ...] = ()
    missing: int = 0
    waiters: dict[_Node, None] | None = None
    state: int = _WAITING


@dataclass(slots=True, eq=False)
class _Branch:
    """What one branch has ready and running. `turn` tells when it was served last; `stamp` which of its entries
    in the order of branches holds."""

    name: str
    turn: int
    live: int = 0
    ready: int = 0
    running: int = 0
    stamp: int = 0
    heap: list[tuple[int, int, _Node]] = field(default_factory=list)


class Agenda:
    """The live slices of a run, by reference. Each step costs O(log n), and one more for each need of a slice.

    Of the branches that have something ready, the one with the fewest running comes next, and of several such the
    one that was served longest ago: a branch with ten thousand ready slices does not hold up one with three.
    `wake` is called when something has become ready.
    """

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self.wake = wake
        self.ready = 0
        """References that could be taken now."""
        self.waiting = 0
        """References that wait for others."""
        self.running = 0
        """References that were taken and not settled yet."""
        self._nodes: dict[str, _Node] = {}
        self._branches: dict[str, _Branch] = {}
        self._order: list[tuple[int, int, int, _Branch]] = []
        self._count = 0  # tells age, turns and stamps

    def __contains__(self, ref: object) -> bool:
        return ref in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, ref: str, *, needs: Iterable[str] = (), priority: int = 0, branch: str = "") -> None:
        """Add a reference that is ready once `needs` are settled; of those, the ones that are not live are. One
        that is live already stays as it is."""
        if ref in self._nodes:
            return
        count = self._tick()
        home = self._branches.get(branch)
        if home is None:
            home = self._branches[branch] = _Branch(branch, turn=count)
        node = self._nodes[ref] = _Node(ref, home, -priority, count)
        home.live += 1
        self.waiting += 1
        if needs:
            self._wait_for(node, needs)
        if not node.missing:
            self._make_ready(node)
            self._tell()

    def take(self) -> str | None:
        """The next reference, which counts as running from now on; None where nothing is ready."""
        branch = self._next_branch()
        if branch is None:
            return None
        node = heappop(branch.heap)[2]
        while node.state != _READY:
            node = heappop(branch.heap)[2]
        node.state = _RUNNING
        branch.ready -= 1
        branch.running += 1
        self.ready -= 1
        self.running += 1
        branch.turn = self._tick()
        self._place(branch)
        return node.ref

    def settle(self, ref: str) -> None:
        """It is done: those that waited for it alone are ready. A reference that is not live changes nothing."""
        node = self._nodes.get(ref)
        if node is None:
            return
        self._forget(node)
        freed = False
        for waiter in node.waiters or ():
            waiter.missing -= 1
            if not waiter.missing:
                self._make_ready(waiter)
                freed = True
        if freed:
            self._tell()

    def drop(self, ref: str) -> list[str]:
        """It failed or is not wanted: forget it, and all that waits for it, directly or not. Returns the latter,
        the nearest first."""
        node = self._nodes.get(ref)
        if node is None:
            return []
        found = {node: None}
        queue = [node]
        for each in queue:  # grows while it is walked
            for waiter in each.waiters or ():
                if waiter not in found:
                    found[waiter] = None
                    queue.append(waiter)
        for each in queue:
            self._forget(each)
        return [each.ref for each in queue[1:]]

    def clear(self) -> list[str]:
        """Drop all that has not been taken, and return it, the oldest first. What runs goes on."""
        left = [node for node in self._nodes.values() if node.state != _RUNNING]
        for node in left:
            self._forget(node)
        return [node.ref for node in left]

    def _wait_for(self, node: _Node, names: Iterable[str]) -> None:
        found = {self._nodes[name]: None for name in names if name in self._nodes and name != node.ref}
        for need in found:
            if need.waiters is None:
                need.waiters = {}
            need.waiters[node] = None
        node.needs = tuple(found)
        node.missing = len(found)

    def _make_ready(self, node: _Node) -> None:
        branch = node.branch
        node.state = _READY
        node.needs = ()
        self.waiting -= 1
        self.ready += 1
        branch.ready += 1
        heappush(branch.heap, (node.rank, node.age, node))
        if branch.ready == 1:
            self._place(branch)

    def _forget(self, node: _Node) -> None:
        """Take a node out of everything that leads to it, but for its place in the heap, which no longer holds."""
        for need in node.needs:
            if need.waiters is not None:
                need.waiters.pop(node, None)
        node.needs = ()
        del self._nodes[node.ref]
        branch, state, node.state = node.branch, node.state, _GONE
        branch.live -= 1
        if state == _WAITING:
            self.waiting -= 1
        elif state == _READY:
            self.ready -= 1
            branch.ready -= 1
            _sweep(branch)
        else:
            self.running -= 1
            branch.running -= 1
            if branch.ready:
                self._place(branch)
        if not branch.live:
            del self._branches[branch.name]

    def _place(self, branch: _Branch) -> None:
        """Give a branch its place in the order of branches; the one it had no longer holds."""
        branch.stamp = self._tick()
        if branch.ready:
            heappush(self._order, (branch.running, branch.turn, branch.stamp, branch))
        if len(self._order) > 2 * len(self._branches) + _SLACK:
            self._order = [entry for entry in self._order if _holds(entry)]
            heapify(self._order)

    def _next_branch(self) -> _Branch | None:
        while self._order:
            entry = heappop(self._order)
            if _holds(entry):
                return entry[3]
        return None

    def _tick(self) -> int:
        self._count += 1
        return self._count

    def _tell(self) -> None:
        if self.wake is not None:
            self.wake()


def _holds(entry: tuple[int, int, int, _Branch]) -> bool:
    """Whether this is where a branch stands in the order now."""
    return entry[2] == entry[3].stamp and entry[3].ready > 0


def _sweep(branch: _Branch) -> None:
    """Rid a heap of what was dropped from it, once that is more than what is ready."""
    if len(branch.heap) > 2 * branch.ready + _SLACK:
        branch.heap = [entry for entry in branch.heap if entry[2].state == _READY]
        heapify(branch.heap)
