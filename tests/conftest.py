"""Every test begins with the same surroundings, however the run was started."""

from __future__ import annotations

from hypothesis import settings

from tests.support import clean_environment

clean_environment.settle()
settings.register_profile("memleash", deadline=None)  # a busy machine is no failure
settings.load_profile("memleash")
