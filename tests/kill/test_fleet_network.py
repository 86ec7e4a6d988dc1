"""Machines with networks of their own, as far as one kernel goes: a network namespace for each worker, a cable to
where the store and the provider are, and a cable that is pulled.

For root alone. The provider is SIMULATED: what it says comes from the prompt itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from swarm.testing.provider import Provider
from tests.kill.chaos import Watched, reading, wait
from tests.kill.cluster import Cluster, database_of
from tests.kill.member import LEASE_SECONDS, Member

pytestmark = pytest.mark.soak
_WORKERS = 3


@pytest.fixture
def networks() -> Iterator[list[str]]:
    """Namespaces, each with a cable to 10.83.N.1 here; it is 10.83.N.2 itself."""
    made: list[str] = []
    try:
        for number in range(_WORKERS):
            made.append(_network(number))
        yield made
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces here: {error}")
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False)


def _network(number: int) -> str:
    name, cable = f"swarm-{os.getpid()}-{number}", cable_of(number)
    _ip("netns", "add", name)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("addr", "add", f"10.83.{number}.1/24", "dev", cable)
    _ip("link", "set", cable, "up")
    _ip("-n", name, "addr", "add", f"10.83.{number}.2/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", name, "link", "set", device, "up")
    return name


def cable_of(number: int) -> str:
    return f"sw{os.getpid()}-{number}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def start(fleet: Watched, number: int, network: str) -> str:
    """A worker in its network."""
    host, name = f"10.83.{number}.1", f"worker {number}"
    provider = urlsplit(fleet.provider.url)
    assert provider.hostname is not None
    assert provider.port is not None
    store = fleet.wires.wire(fleet.cluster.socket, host)
    models = fleet.wires.wire((provider.hostname, provider.port), host)
    member = Member(
        part="worker",
        job=fleet.job,
        folder=fleet.new_folder(),
        store=f"postgresql://postgres@{host}:{store.port}/{database_of(fleet.url)}",
        base_url=f"http://{host}:{models.port}/v1",
        places=4,
        network=network,
    )
    fleet.add(name, member, (store, models))
    return name


async def test_a_worker_whose_cable_is_pulled_loses_its_slices_and_does_no_harm(
    cluster: Cluster, busy: Provider, networks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with reading(tmp_path, busy, 120, 0.3).fleet(tmp_path / "fleet", busy, cluster) as fleet:
        fleet.begin(workers=0, coordinators=1)
        names = [start(fleet, *one) for one in enumerate(networks)]
        for number, name in enumerate(names[:2]):
            assert fleet.wait_for(len(fleet.requests.came) + 12)
            upset = fleet.befall("cut off worker", name)
            _ip("link", "set", cable_of(number), "down")
            wait(fleet, 3 * LEASE_SECONDS)
            assert not fleet.claimed_by(name), "its leases are over"
            _ip("link", "set", cable_of(number), "up")
            fleet.mend(name, upset, broken=False)
        figures = await fleet.come_out()
    assert figures.upsets == {"cut off worker": 2}
