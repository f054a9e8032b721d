"""gdb at work on a process: stacks, and a short look at who allocates chunks of a given size."""

import collections
import os
import platform
import re
import tempfile
import typing

from . import tools
from .process import Process

GDB_SECONDS = 60.0
SAMPLE_SECONDS = 10.0
"""For all of it; gdb's own start may be most of that on a loaded host."""
MOST_CALLS = 5000
MOST_SAMPLES = 60

_SIZE_ARGUMENTS = {
    "x86_64": ("$rdi", "$rdi * $rsi", "$rsi"),
    "aarch64": ("$x0", "$x0 * $x1", "$x1"),
}
"""The size that malloc, calloc and realloc are called with, at their first instruction."""

_SAMPLE = "memleash sample "
_FRAME = re.compile(
    r"^#\d+ +(?:0x[0-9a-f]+ in )?(?P<function>.+?) \(.*?\)(?: (?P<where>(?:at|from) \S+))?$",
    re.MULTILINE,
)
_ALLOCATES = re.compile(
    r"^_*(?:GI_+)?(?:libc_|IO_)?x?(?:malloc|calloc|realloc|reallocarray|memalign|posix_memalign"
    r"|valloc|pvalloc|aligned_alloc|strn?dup|v?asprintf|getline|getdelim)\b"
    r"|^operator new|^g_(?:try_)?(?:malloc|realloc|slice|str)|^std::|^__gnu_cxx::"
)


def functions(output: str) -> typing.List[str]:
    """Return the functions of the stacks in gdb's ``output``, innermost first."""
    return [frame.group("function") for frame in _FRAME.finditer(output)]


def gdb(
    process: Process,
    commands: typing.Sequence[str],
    *,
    libraries: typing.Sequence[str] = (),
    seconds: float = GDB_SECONDS,
    cut: bool = False,
) -> str:
    """Return what gdb printed as it ran ``commands`` on ``process``. Raises tools.Refused, Gone.

    ``libraries`` are the only ones whose symbols are read, which takes most of gdb's time while
    the agent stands still; none given: all of them. ``cut``: see tools.run.
    """
    argv = [tools.find("gdb"), "-nx", "-batch", "-iex", "set auto-load no"]
    root = os.readlink(process.path("root"))
    if root != "/":
        argv += ["-iex", "set sysroot " + root]
    if libraries:
        argv += ["-iex", "set auto-solib-add off"]
    argv += [process.path("exe"), "-p", str(process.pid)]
    setup = ["set width 0", "set pagination off", "set unwindonsignal on"]
    for command in [*setup, *("sharedlibrary " + name for name in libraries), *commands]:
        argv += ["-ex", command]
    process.check()
    output = tools.run(argv, seconds, any_exit=True, cut=cut)
    if "ptrace: " in output or "Could not attach" in output:
        raise tools.Refused(tools.explain("gdb", output))
    return output


class Site(typing.NamedTuple):
    """A place in the program that asked malloc for one of the sizes."""

    function: str
    where: str
    samples: int
    chunk_bytes: int
    stack: typing.List[str]


def allocation_sites(
    process: Process, chunk_sizes: typing.Sequence[int], seconds: float = SAMPLE_SECONDS
) -> typing.List[Site]:
    """Return who allocated chunks of ``chunk_sizes``, the most frequent first.

    Breakpoints on malloc, calloc and realloc, which gdb itself takes out after MOST_SAMPLES of
    these sizes or MOST_CALLS of any, since each call costs the agent some 100 us meanwhile. Only
    an agent that hardly allocates is let go from outside, after ``seconds``.
    Raises tools.Refused, Gone.
    """
    arguments = _SIZE_ARGUMENTS.get(platform.machine())
    if arguments is None:
        raise tools.Refused(f"sampling of allocations knows no {platform.machine()}")
    with tempfile.NamedTemporaryFile("w", prefix="memleash-", suffix=".gdb") as script:
        script.write(_script(arguments, chunk_sizes))
        script.flush()
        output = gdb(process, ["source " + script.name], seconds=seconds, cut=True)
    return [site for site in sites(output) if site.chunk_bytes in chunk_sizes]


def sites(output: str) -> typing.List[Site]:
    """Return what the samples in gdb's ``output`` say."""
    samples: typing.Counter[typing.Tuple[str, str, int]] = collections.Counter()
    stacks: typing.Dict[typing.Tuple[str, str, int], typing.List[str]] = {}
    for part in output.split(_SAMPLE)[1:]:
        head, _, rest = part.partition("\n")
        frames = list(_FRAME.finditer(rest))
        own = [frame for frame in frames if not _ALLOCATES.search(frame.group("function"))]
        if own and head.isdigit():
            where = (own[0].group("where") or "").partition(" ")[2]
            key = (own[0].group("function"), where, _chunk(int(head)))
            samples[key] += 1
            stacks.setdefault(key, [frame.group(0) for frame in frames])
    return [
        Site(function, where, count, chunk, stacks[function, where, chunk])
        for (function, where, chunk), count in samples.most_common(20)
    ]


def _script(arguments: typing.Sequence[str], chunk_sizes: typing.Sequence[int]) -> str:
    """Return gdb's script. A chunk is what was asked for and 8, rounded up to 16, 32 at least."""
    lines = ["set $samples = 0", "set $calls = 0"]
    for function, size in zip(("malloc", "calloc", "realloc"), arguments):
        wanted = " || ".join(
            f"({size} > {chunk - 24 if chunk > 32 else -1} && {size} <= {chunk - 8})"
            for chunk in chunk_sizes
        )
        lines += [
            f"break {function} if ($calls = $calls + 1) > {MOST_CALLS} || {wanted}",
            "commands",
            "silent",
            f'printf "{_SAMPLE}%lu\\n", (unsigned long)({size})',
            "backtrace 16",
            "set $samples = $samples + 1",
            f"if $samples < {MOST_SAMPLES} && $calls <= {MOST_CALLS}",
            "continue",
            "end",
            "end",
        ]
    return "\n".join([*lines, "continue", "delete", "detach", ""])


def _chunk(asked: int) -> int:
    return max(32, (asked + 8 + 15) // 16 * 16)
