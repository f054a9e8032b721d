"""TLS, client certificates and basic auth, as curl and a real Prometheus meet them."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme

from demo.stack.http import answers, get
from demo.stack.processes import Program, wait_until
from demo.stack.tools import find

pytestmark = pytest.mark.integration

CONFIG = {"agents": [{"name": "a", "discover": {"cmdline": "^no-such-agent$"}}]}


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """Write a CA, a server's and a client's files; return their folder."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.crt")
    for name in ("localhost", "prometheus"):
        issued = ca.issue_cert(name, "127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    return tmp_path


@pytest.fixture
def secured(run_exporter: Callable[..., Any], pki: Path) -> Any:
    """Run an exporter that wants a client certificate and a password."""
    web = pki / "web.yml"
    web.write_text(
        f"""
tls_server_config:
  cert_file: localhost.crt
  key_file: localhost.key
  client_ca_file: ca.crt
  client_auth_type: RequireAndVerifyClientCert
basic_auth_users:
  prometheus: {bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()}
"""
    )
    return run_exporter(CONFIG, "--web.config.file", str(web))


def curl(secured: Any, *flags: str, scheme: str = "https") -> tuple[int, str]:
    """Return curl's exit code and the status it saw."""
    finished = subprocess.run(
        [
            *("curl", "--silent", "--max-time", "20", "--output", "/dev/null"),
            *("--write-out", "%{http_code}", *flags),
            f"{scheme}://localhost:{secured.port}/metrics",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return finished.returncode, finished.stdout


def test_curl_gets_in_with_all_three_and_with_nothing_less(secured: Any, pki: Path) -> None:
    trust = ("--cacert", str(pki / "ca.crt"))
    client = ("--cert", str(pki / "prometheus.crt"), "--key", str(pki / "prometheus.key"))
    user = ("--user", "prometheus:secret")
    assert curl(secured, *trust, *client, *user) == (0, "200")
    assert curl(secured, *trust, *client) == (0, "401")
    assert curl(secured, *trust, *client, "--user", "prometheus:wrong") == (0, "401")
    assert curl(secured, *trust, *user)[1] == "000"
    assert curl(secured, *client, *user)[1] == "000"
    assert curl(secured, *user, scheme="http")[1] == "000"
    assert curl(secured, *trust, *client, *user, "--tls-max", "1.1")[1] == "000"
    assert curl(secured, *trust, *client, *user) == (0, "200"), "it outlived all of that"


def test_a_stalled_handshake_holds_nobody_up(secured: Any, pki: Path) -> None:
    stalled = [socket.create_connection(("127.0.0.1", secured.port)) for _ in range(8)]
    try:
        assert curl(
            secured,
            *("--cacert", str(pki / "ca.crt"), "--user", "prometheus:secret"),
            *("--cert", str(pki / "prometheus.crt"), "--key", str(pki / "prometheus.key")),
        ) == (0, "200")
    finally:
        for connection in stalled:
            connection.close()


@pytest.fixture
def prometheus(secured: Any, pki: Path) -> Iterator[str]:
    """Run a real Prometheus that scrapes the secured exporter; return its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    scrape = {
        "job_name": "memleash-exporter",
        "scheme": "https",
        "static_configs": [{"targets": [f"localhost:{secured.port}"]}],
        "basic_auth": {"username": "prometheus", "password": "secret"},
        "tls_config": {
            "ca_file": str(pki / "ca.crt"),
            "cert_file": str(pki / "prometheus.crt"),
            "key_file": str(pki / "prometheus.key"),
        },
    }
    file = pki / "prometheus.yml"
    file.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}))
    program = Program(
        "prometheus",
        [
            *(find("stable").prometheus, f"--config.file={file}"),
            *(f"--web.listen-address={address}", f"--storage.tsdb.path={pki / 'tsdb'}"),
        ],
        pki / "prometheus.log",
        lambda: answers(f"http://{address}/-/ready"),
    )
    program.start()
    yield f"http://{address}"
    program.stop()


def test_a_real_prometheus_scrapes_it(prometheus: str) -> None:
    def value(query: str) -> list[str]:
        answer = get(f"{prometheus}/api/v1/query?query={urllib.parse.quote(query)}")
        return [sample["value"][1] for sample in answer["data"]["result"]]

    assert wait_until("the scrape", lambda: value('memleash_agent_up{agent="a"}')) == ["0"]
    assert value('up{job="memleash-exporter"}') == ["1"]
    # More than one scrape over the kept connection, and types as they are written.
    wait_until("three scrapes", lambda: value("count_over_time(up[1m]) >= 3"))
    assert value('min_over_time(up{job="memleash-exporter"}[1m])') == ["1"]
