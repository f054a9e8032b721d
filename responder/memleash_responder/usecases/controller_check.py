"""Whether a controller can be relied on for a host: it is asked, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence

from memleash_responder.adapters.controllers.check import Finding
from memleash_responder.errors import NotFound
from memleash_responder.usecases.operator import known_host
from memleash_responder.usecases.services import Services


def check_controller(services: Services, host: str, controller: str) -> Sequence[Finding]:
    """Return what a controller answers about a host. Raises NotFound.

    It is asked as for the first agent whose restarts concern it.
    """
    known = known_host(services, host)
    for settings in services.settings.controllers:
        if settings.name == controller:
            agents = [one for one in services.settings.agents if settings.has_agent(one)]
            agent = agents[0] if agents else ""
            return services.outside.controllers.check(controller, known, agent)
    raise NotFound("No such controller", f"no controller is called {controller!r}")
