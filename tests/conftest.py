"""Every test begins with the same surroundings, however the run was started."""

from __future__ import annotations

from tests.support import surroundings

surroundings.settle()
