"""Every test begins with the same surroundings, however the run was started."""

from __future__ import annotations

from hypothesis import settings

from tests.support import clean_environment
from tests.support.forked_programs import fork_server, forked_responders

__all__ = ["fork_server", "forked_responders"]

clean_environment.settle()
settings.register_profile("memleash", deadline=None)  # a busy machine is no failure
settings.load_profile("memleash")
