"""The machines that worked a run, each with what it did, and whether it is alive."""

from __future__ import annotations

from typing import Any

from swarm.inspect.data.bounds import short
from swarm.inspect.look import Look
from swarm.inspect.machines import Worked
from swarm.inspect.plan import Seen

_MACHINES = 200


def machines(look: Look) -> list[dict[str, Any]]:
    """Those that began first; none where the run's own process did all. `life` is `alive`, `silent` or `lost`,
    None where nobody can tell; `lost` counts slices that went on elsewhere."""
    known, seen = look.follower.plan.machines, look.alive.seen()
    return [
        _row(one, known.name(one.id))
        | {
            "life": seen[one.id].life if one.id in seen else None,
            "draining": one.id in seen and seen[one.id].draining,
        }
        for one in list(known.known.values())[:_MACHINES]
    ]


def _row(one: Worked, name: str) -> dict[str, Any]:
    return {
        "id": short(one.id, 200),
        "name": short(name, 200),
        "host": short(one.host, 200),
        "working": one.slices["running"],
        "done": one.slices["done"],
        "failed": one.slices["failed"],
        "lost": one.lost,
        "first": one.first,
        "last": one.last,
    }


def of_slice(look: Look, seen: Seen) -> list[dict[str, Any]]:
    """The machines that a slice was on, the last one last; `until` is None of the one that it is on."""
    known = look.follower.plan.machines
    stays = [*seen.stays, (seen.machine, None, False)] if seen.machine else list(seen.stays)
    return [
        {"id": short(id_, 200), "name": short(known.name(id_), 200), "until": until, "lost": lost}
        for id_, until, lost in stays
    ]
