"""What all tasks of a store may cost together: for whoever pays for them, however many are begun.

Spent is what the journal says of every run that was begun as a task, by whichever process. Of a task that is at
work all that it may still spend counts as well, so that those which one process begins never come to more than the
total.
This module knows the journal; it begins nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import floor, inf

from swarm.embed import recorded
from swarm.errors import UsageError
from swarm.store.journal import Journal
from swarm.task import Limits

_FINE = 1_000_000  # parts of a dollar that are told apart


def within_total(journal: Journal, usd: float, run: str, limits: Limits, at_work: Mapping[str, Limits]) -> Limits:
    """The limits of a run that is to begin or go on: no more dollars than the total of `usd` leaves. `at_work` are
    the limits of those that are at work in this process.

    Raises:
        UsageError: nothing is left.
    """
    if usd == inf:
        return limits
    others = sum(
        _counted(journal, account.run, account.usage.cost_usd, at_work.get(account.run))
        for account in journal.accounts()
        if account.run != run and recorded.is_task(journal, account.run)
    )
    most = floor((usd - others) * _FINE) / _FINE if others < usd else -inf
    if most <= journal.spent(run).cost_usd:
        raise UsageError(
            f"all tasks together may cost ${usd:,.2f}, and of that nothing is left: "
            f"${min(usd, others):,.2f} are spent by others, or kept for those at work"
        )
    return limits if _cost(limits) <= most else replace(limits, cost_usd=most, cost_is_default=False)


def _counted(journal: Journal, run: str, spent: float, limits: Limits | None) -> float:
    if limits is None and journal.held(run):  # by another process
        limits = recorded.limits(journal, run)
    if limits is None:
        return spent
    return max(spent, _cost(limits))


def _cost(limits: Limits) -> float:
    return inf if limits.cost_usd is None else limits.cost_usd
