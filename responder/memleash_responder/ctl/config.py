"""memleashctl's configuration file: where the responder is, and what to show it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from memleash_responder.http_settings import Authorization, HttpConfig
from memleash_toolkit import settings as toolkit_settings
from memleash_toolkit.values import BaseUrl, Duration

FILES = (Path("~/.config/memleash/ctl.yml"), Path("/etc/memleash/ctl.yml"))
"""The first of them that is there counts."""


@dataclasses.dataclass(frozen=True, slots=True)
class CtlConfig(HttpConfig):
    """The whole file. Flags win over it."""

    url: BaseUrl = "http://127.0.0.1:10059"
    token_file: Path | None = None
    """Short for authorization.credentials_file."""
    output: Literal["table", "json"] = "table"
    timeout: Duration = Duration(30)
    """For one request."""

    def __post_init__(self) -> None:
        HttpConfig.__post_init__(self)
        if self.token_file is not None and (self.authorization or self.basic_auth):
            raise ValueError("give one of token_file, authorization and basic_auth")

    @property
    def http(self) -> HttpConfig:
        """How to speak, with the token where it belongs."""
        if self.token_file is None:
            return self
        return HttpConfig(
            authorization=Authorization(credentials_file=self.token_file.expanduser()),
            tls_config=self.tls_config,
            http_headers=self.http_headers,
        )


def load(file: Path | None) -> CtlConfig:
    """Return the configuration of ``file``, or of the first of FILES. Raises ConfigError."""
    if file is not None:
        return toolkit_settings.load(CtlConfig, file)
    for usual in FILES:
        if usual.expanduser().exists():
            return toolkit_settings.load(CtlConfig, usual.expanduser())
    return CtlConfig()
