"""What gdb's samples of malloc calls say; the text was recorded from gdb 13 on Debian 12."""

from __future__ import annotations

import pytest

from diagnoser import debugger, tools

RECORDED = """\
Breakpoint 1 at 0x7fe0c8313932: malloc. (2 locations)
memleash sample 1008
#0  __GI___libc_malloc (bytes=bytes@entry=1008) at ./malloc/malloc.c:3288
#1  0x000056485dac8167 in remember_request (n=n@entry=3749) at agents/leak.c:7
#2  0x000056485dac81c8 in main () at agents/leak.c:9
memleash sample 1008
#0  __GI___libc_malloc (bytes=bytes@entry=1008) at ./malloc/malloc.c:3288
#1  0x000056485dac8167 in remember_request (n=n@entry=3750) at agents/leak.c:7
#2  0x000056485dac81c8 in main () at agents/leak.c:9
memleash sample 40
#0  0x00007f0c57441efe in malloc () from /lib/x86_64-linux-gnu/libc.so.6
#1  0x00007f0c57441aaa in operator new(unsigned long) () from /lib/libstdc++.so.6
#2  0x00007f0c574369d4 in Cache::put(std::string const&) () from /opt/agent/libcache.so
Quit
[Inferior 1 (process 24747) detached]
"""


def test_the_site_is_the_first_frame_that_is_no_allocator_and_the_commonest_comes_first() -> None:
    found = debugger.sites(RECORDED)

    assert [(site.function, site.where, site.samples, site.chunk_bytes) for site in found] == [
        ("remember_request", "agents/leak.c:7", 2, 1024),
        ("Cache::put(std::string const&)", "/opt/agent/libcache.so", 1, 48),
    ]
    assert found[0].stack[-1].endswith("in main () at agents/leak.c:9")


def test_output_without_samples_names_nobody() -> None:
    assert debugger.sites("ptrace: Operation not permitted.\n") == []


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("Could not attach: ptrace: Operation not permitted.", "CAP_SYS_PTRACE"),
        ("Error: Permission denied (os error 13)", "refused"),
        ("line one\nlast line\n\n", "gdb failed: last line"),
        ("", "gdb failed: it said nothing"),
    ],
)
def test_a_failed_tool_says_why_and_what_to_do(output: str, told: str) -> None:
    assert told in tools.explain("gdb", output)


def test_a_missing_tool_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(tools, "EXTRA_FOLDERS", ())

    with pytest.raises(tools.Refused, match="py-spy is missing: install py-spy"):
        tools.find("py-spy")
