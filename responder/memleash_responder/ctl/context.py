"""What every command is given, and the parameters that several share."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from memleash_responder.ctl.answers import Host
from memleash_responder.ctl.config import CtlConfig
from memleash_responder.ctl.errors import CtlError
from memleash_responder.ctl.output import print_json

if TYPE_CHECKING:
    from memleash_responder.ctl.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclasses.dataclass(slots=True)
class Ctl:
    """The responder to speak to, and how to print."""

    config: CtlConfig
    output: str
    _client: Client | None = None

    @property
    def client(self) -> Client:
        """The responder's API."""
        if self._client is None:
            # It brings requests, half of what an import of memleashctl would cost with it.
            from memleash_responder.ctl.client import Client  # noqa: PLC0415 - --help needs none

            self._client = Client(self.config)
        return self._client

    def show(self, value: Any, table: Callable[[], None]) -> None:
        """Print ``value``, which is plain JSON, or what ``table`` prints of it."""
        if self.output == "json":
            print_json(value)
        else:
            table()


pass_ctl = click.make_pass_decorator(Ctl)


def _set_output(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Ctl).output = value


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    callback=_set_output,
    expose_value=False,
    help="The format of the output.",
)


def complete_hosts(
    context: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    """Return the hosts whose names begin so."""
    return _complete(context, typed, lambda found: [host.host for host in found])


def _agents(
    context: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    wanted = context.params.get("host")
    return _complete(
        context,
        typed,
        lambda found: sorted(
            {agent for host in found if host.host == wanted for agent in host.agents}
        ),
    )


def _complete(
    context: click.Context, typed: str, names: Callable[[list[Host]], list[str]]
) -> list[CompletionItem]:
    """Ask the responder; without it there is nothing to offer."""
    with contextlib.suppress(CtlError):
        found = context.ensure_object(Ctl).client.every(Host, "hosts", "hosts").shape
        return [CompletionItem(name) for name in names(found) if name.startswith(typed)]
    return []


host_argument = click.argument("host", shell_complete=complete_hosts)
agent_argument = click.argument("agent", shell_complete=_agents)


def end_options(command: Command) -> Command:
    """Add --for and --until: when what is begun ends by itself."""
    lasts = click.option("--for", "lasts", help="End by itself after this long: 2h, 1d12h.")
    until = click.option("--until", help="End by itself at this time: 2026-01-31T12:00:00Z.")
    return lasts(until(command))
