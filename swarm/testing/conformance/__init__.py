"""What every journal, index (`index`) and engine (`engine`) is held to, ours and yours: classes of tests for
pytest with `pytest-asyncio`.

    class TestMyJournal(JournalConformance):
        @pytest.fixture
        def opened(self, tmp_path):
            return lambda: contextlib.closing(MyJournal(tmp_path / "store"))

        @pytest.fixture
        def program(self, tmp_path):
            return f"from my.journal import MyJournal\\njournal = MyJournal({str(tmp_path / 'store')!r})"

`opened` opens one and the same store again and again, one at a time, as a context manager. `program` is Python
that makes `journal` from it in another process, or an empty string where no other process can: what is killed and
who may take over is then not tested. What machines share is held to `ClaimsConformance` (a journal and the claims
beside it, opened by `sharing`), `BlobsConformance` (opened by `kept`) and `MachinesConformance`. With
`pytest.register_assert_rewrite("swarm.testing.conformance")`, called before this is imported, a failure shows what
was compared. The suite knows the protocol and no store.
"""

from __future__ import annotations

from swarm.testing.conformance.blobs import BlobsConformance, Kept
from swarm.testing.conformance.calls import CallsConformance
from swarm.testing.conformance.claims import ClaimsConformance, Shared, Sharing
from swarm.testing.conformance.engine import EngineConformance, MakeEngine
from swarm.testing.conformance.followed import FollowedConformance
from swarm.testing.conformance.given import TEXTS, Opened, call_key, entry, intent, reply, running
from swarm.testing.conformance.index import IndexConformance, MakeIndex
from swarm.testing.conformance.machines import MachinesConformance, OpenMachines, Silent
from swarm.testing.conformance.processes import ProcessConformance
from swarm.testing.conformance.records import RecordsConformance

__all__ = [
    "TEXTS", "BlobsConformance", "CallsConformance", "ClaimsConformance", "EngineConformance",
    "FollowedConformance", "IndexConformance", "JournalConformance", "Kept", "MachinesConformance", "MakeEngine",
    "MakeIndex", "OpenMachines", "Opened", "ProcessConformance", "RecordsConformance", "Shared", "Sharing",
    "Silent", "call_key", "entry", "intent", "reply", "running",
]  # fmt: skip


class JournalConformance(RecordsConformance, CallsConformance, FollowedConformance, ProcessConformance):
    """All of it: derive from this."""
