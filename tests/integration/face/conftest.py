"""One stack with access configured, a browser, and memleashctl, for the tests of this folder."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import (
    Browser,
    BrowserContext,
    HttpCredentials,
    Page,
    sync_playwright,
)

from demo.stack.stack import Stack, prepared
from demo.stack.tools import REPOSITORY, find
from tests.support.memleashctl import Ran, memleashctl

OPERATOR, TOKEN = "on-call", "on-call-" + "0" * 32
WEBHOOK, PROMETHEUS = "webhook-" + "1" * 32, "prometheus-" + "2" * 32
AXE = REPOSITORY / ".cache/axe/axe.min.js"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole chain, in approve mode, each part with the token of its role."""
    folder = tmp_path_factory.mktemp("face") / "stack"
    with prepared(find("stable"), folder) as made:
        _give_tokens(folder)
        _change(folder / "responder.yml", _as_asked(made))
        _change(folder / "alertmanager.yml", _with_webhook_token(folder))
        _change(folder / "prometheus.yml", _with_read_token(folder))
        made.start()
        yield made


def _give_tokens(folder: Path) -> None:
    secrets = {"on-call": TOKEN, "webhook": WEBHOOK, "prometheus": PROMETHEUS}
    for name, secret in secrets.items():
        (folder / f"{name}.token").write_text(secret, encoding="ascii")


def _change(file: Path, change: Callable[[Any], None]) -> None:
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(config)
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def _as_asked(made: Stack) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        agent = config["agents"][made.layout.agent]
        agent["mode"] = "approve"
        agent["guards"] |= {"cooldown": "1s", "max_restarts": 50, "shrinking_ratio": 0.01}
        config["access"] = {
            "tokens": [
                {"name": "on-call", "role": "operate", "file": "on-call.token"},
                {"name": "alertmanager", "role": "webhook", "file": "webhook.token"},
                {"name": "prometheus", "role": "read", "file": "prometheus.token"},
            ]
        }
        config["reports"] = {"folder": str(made.layout.folder / "reports")}
        config["links"] = {
            "grafana": "http://127.0.0.1:3000",
            "prometheus": made.layout.url("prometheus"),
            "alertmanager": made.layout.url("alertmanager"),
        }

    return change


def _with_webhook_token(folder: Path) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        (webhook,) = next(
            receiver["webhook_configs"]
            for receiver in config["receivers"]
            if receiver["name"] == "responder"
        )
        credentials = {"credentials_file": str(folder / "webhook.token")}
        webhook["http_config"] = {"authorization": credentials}

    return change


def _with_read_token(folder: Path) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        for job in config["scrape_configs"]:
            for discovery in job.get("http_sd_configs", []):
                token = str(folder / "prometheus.token")
                credentials = {"type": "Bearer", "credentials_file": token}
                discovery["authorization"] = credentials

    return change


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")  # else Playwright's own, where tools/setup puts it
    os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(REPOSITORY / ".cache/browsers"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass(frozen=True)
class Visit:
    """A way to open the page as somebody, on some screen; what its console said is kept."""

    browser: Browser
    url: str

    def context(self, **options: Any) -> BrowserContext:
        credentials = HttpCredentials(username=OPERATOR, password=TOKEN)
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = self.browser.new_context(
            base_url=self.url, http_credentials=credentials, **options
        )
        context.set_default_timeout(60_000)
        return context

    def page(self, path: str = "/", **options: Any) -> Page:
        page = self.context(**options).new_page()
        page.on("pageerror", lambda error: pytest.fail(f"the page's script failed: {error}"))
        page.goto(path)
        return page


@pytest.fixture(scope="module")
def visit(stack: Stack, browser: Browser) -> Visit:
    return Visit(browser, stack.layout.url("responder"))


@pytest.fixture(scope="module")
def ctl(stack: Stack) -> Callable[..., Ran]:
    """Return memleashctl with a configuration file of the operator's."""
    file = stack.layout.folder / "ctl.yml"
    config = {"url": stack.layout.url("responder"), "token_file": "on-call.token"}
    file.write_text(yaml.safe_dump(config), encoding="utf-8")

    return functools.partial(memleashctl, f"--config.file={file}")


def serious(page: Page) -> list[str]:
    """Return what axe finds on ``page`` that keeps people out."""
    if not AXE.exists():
        pytest.skip("not run: axe-core is not here; `make setup` gets it")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:120]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def keep(page: Page, name: str) -> None:
    """Take a picture of ``page`` when MEMLEASH_SCREENSHOTS names a folder for it."""
    folder = os.environ.get("MEMLEASH_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
