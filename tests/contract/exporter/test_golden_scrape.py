"""The whole scrape of a recorded /proc against a golden file, as a program's user sees it.

``host.txt`` is an archive (tests/support/recorded_folder.py) of what was recorded from real
processes and renumbered: an agent whose name holds a bracket and a newline, with threads and a
child; one whose name is not UTF-8; two separate trees with one command line; a zombie; a kernel
thread. Write the golden file anew with ``GOLDEN=write pytest tests/contract/exporter``, and read
the difference before you commit it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.recorded_folder import unpack

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.txt"
_VARYING = re.compile(
    r"^(memleash_agent_sample_duration_seconds\S*|process_\w+"
    r"|memleash_exporter_config_last_reload_success_timestamp_seconds"
    r"|memleash_exporter_build_info)(\{.*\})? .*$",
    re.MULTILINE,
)
_CONTRACT = {
    "memleash_agent_up": "gauge",
    "memleash_agent_resident_memory_bytes": "gauge",
    "memleash_agent_anonymous_memory_bytes": "gauge",
    "memleash_agent_swap_bytes": "gauge",
    "memleash_agent_tree_resident_memory_bytes": "gauge",
    "memleash_agent_limited_memory_bytes": "gauge",
    "memleash_agent_start_time_seconds": "gauge",
    "memleash_agent_cpu_seconds": "counter",
    "memleash_agent_threads": "gauge",
    "memleash_agent_open_fds": "gauge",
    "memleash_agent_memory_alarm_threshold_bytes": "gauge",
    "memleash_agent_memory_hard_limit_bytes": "gauge",
    "memleash_agent_busy": "gauge",
    "memleash_agent_busy_source": "gauge",
    "memleash_agent_busy_source_success": "gauge",
    "memleash_agent_busy_since_timestamp_seconds": "gauge",
    "memleash_agent_ready": "gauge",
    "memleash_agent_sample_success": "gauge",
    "memleash_agent_sample_duration_seconds": "gauge",
    "process_max_fds": "gauge",
    "process_virtual_memory_bytes": "gauge",
    "memleash_exporter_build_info": "gauge",
    "memleash_exporter_config_last_reload_successful": "gauge",
    "memleash_exporter_config_last_reload_success_timestamp_seconds": "gauge",
    "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
    "process_open_fds": "gauge",
}


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> str:
    host = tmp_path_factory.mktemp("host")
    unpack((HERE / "host.txt").read_text(encoding="ascii"), host)
    config = shutil.copy(HERE / "golden.yml", host)
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "memleash_exporter", "--once"),
            *("--config.file", config),
            *("--path.procfs", host / "proc"),
            *("--path.cgroupfs", host / "cgroup"),
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PATH": ""},  # no systemctl: the answer must not depend on the machine
        timeout=60,
    )
    return finished.stdout


def test_the_scrape_is_the_golden_file(scrape: str) -> None:
    seen = _VARYING.sub(lambda match: f"{match[1]}{match[2] or ''} <varies>", scrape)
    seen = re.sub(r"^(memleash_exporter_build_info)\{.*\}", r"\1{…}", seen, flags=re.MULTILINE)
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(seen, encoding="utf-8")
    assert seen == GOLDEN.read_text(encoding="utf-8")


def test_every_metric_of_the_contract_is_there_with_its_type_and_no_other(scrape: str) -> None:
    families = {family.name: family.type for family in text_string_to_metric_families(scrape)}
    assert families == _CONTRACT


def test_each_family_explains_itself_in_a_sentence(scrape: str) -> None:
    for family in text_string_to_metric_families(scrape):
        assert family.documentation.endswith(".")
        assert family.samples


def test_promtool_finds_nothing_to_complain_about(scrape: str) -> None:
    finished = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scrape,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
