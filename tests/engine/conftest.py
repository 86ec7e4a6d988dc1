"""So that a failure in the shipped suite shows what was compared."""

import pytest

pytest.register_assert_rewrite("swarm.testing.conformance")
