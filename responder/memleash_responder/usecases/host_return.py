"""A host goes back to its controllers: they reconnect it, and its drain ends."""

from __future__ import annotations

from memleash_responder.adapters.own_metrics import Part
from memleash_responder.core.facts import Host
from memleash_responder.settings import libvirtd_choices
from memleash_responder.usecases.services import Services
from memleash_responder.usecases.unforeseen import try_one


def reconnect_host(
    services: Services, host: Host, agent: str, restart_id: str, life: float | None
) -> None:
    """Have the controllers take ``host`` back, and wait for it. Raises ReconnectFailed.

    ``life`` is the start time of the agent's process, unix time; None: nobody knows.
    """
    settings = services.settings
    choices = libvirtd_choices(settings, host, agent)
    services.outside.controllers.reconnect(
        host,
        agent,
        restart_id,
        timeout_seconds=settings.agents[agent].reconnect_timeout,
        restart_libvirtd={name for name, choice in choices.items() if choice.restart_libvirtd},
        life=life,
    )


def undrain(services: Services, host_name: str, agent: str, restart_id: str | None) -> bool:
    """Give the undrain that a restart owes; a failure stays owed, and recovery tries again.

    What another restart holds by now is left alone: a step that is run again after a crash would
    let new work onto the host of the next. A restart that begins to hold the host meanwhile gets
    its drain back. A host that left the inventory meanwhile is owed it all the same.
    """
    record = services.tables.hosts.get(host_name)
    if not record.drained or record.restart_id != restart_id:
        return True
    host = services.outside.inventory.get(host_name) or Host(host_name, "", "", {})
    return try_one(services, Part.UNDRAIN, host_name, _undrain, services, host, agent, restart_id)


def _undrain(services: Services, host: Host, agent: str, restart_id: str | None) -> None:
    controllers = services.outside.controllers
    controllers.undrain(host, agent, restart_id or "")
    if not services.tables.hosts.undrained(host.name, restart_id):
        controllers.drain(host, agent, services.tables.hosts.get(host.name).restart_id or "")
