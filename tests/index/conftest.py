"""The suite that ships with Swarm is held against asserts that show what was compared."""

import pytest

pytest.register_assert_rewrite("swarm.testing.conformance")
