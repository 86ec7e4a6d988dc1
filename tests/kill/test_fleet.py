"""Many machines on one run, and whatever befalls them. (draft)"""
from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.testing.faults import log_normal
from swarm.testing.provider import Provider
from tests.kill.cluster import Cluster
from tests.kill.conftest import job_of, write_corpus
from tests.kill.fleet import Fleet
from tests.kill.victim import warm
from tests.kill.watch import Trial, Undisturbed


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


async def test_undisturbed(cluster: Cluster, tmp_path: Path, monkeypatch) -> None:
    corpus = write_corpus(tmp_path / "c", 60)
    with Provider(latency=log_normal(0.1), keep=False) as provider:
        (tmp_path / "u").mkdir()
        warm()
        job = replace(job_of(tmp_path / "u", str(tmp_path / "u/swarm.db"), corpus), concurrency=12)
        t = time.monotonic()
        whole = Trial(job, provider).undisturbed()
        print("undisturbed", whole.seconds, whole.requests)
        (tmp_path / "f").mkdir()
        with Fleet(replace(job, folder=tmp_path / "f"), provider, cluster) as fleet:
            t = time.monotonic()
            fleet.begin()
            answer = fleet.finish()
            print("fleet", time.monotonic() - t)
            print(fleet.said())
            print(fleet.check(answer, whole))
