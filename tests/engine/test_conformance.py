"""Every engine of ours is held to the shipped suite."""

from __future__ import annotations

import pytest

from swarm.engine.base import Engine
from swarm.engine.local import LocalEngine, Waiting
from swarm.engine.postgres import PostgresEngine
from swarm.testing.conformance import EngineConformance, MakeEngine


class TestLocalEngine(EngineConformance):
    @pytest.fixture
    def engine(self) -> MakeEngine:
        queue = Waiting()

        def make(places: int) -> Engine:
            return LocalEngine(places, queue)

        return make


class TestPostgresEngine(EngineConformance):
    @pytest.fixture
    def engine(self, url: str) -> MakeEngine:
        def make(places: int) -> Engine:
            return PostgresEngine(url, places)

        return make
