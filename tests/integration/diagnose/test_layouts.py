"""The table of CPython's layouts, against what a C compiler makes of each version's own headers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from demo.stack.leaking_agents import PYENV
from memleash_diagnoser import cpython

pytestmark = pytest.mark.integration

SOURCE = r"""
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#if PY_VERSION_HEX >= 0x03080000
#include "internal/pycore_pystate.h"
#elif PY_VERSION_HEX >= 0x03070000
#include "internal/pystate.h"
#endif
#if PY_VERSION_HEX >= 0x03090000
#include "internal/pycore_runtime.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_gc.h"
#endif
#define SHOW(name, value) printf(#name " %ld\n", (long)(value))
#define GC(field) offsetof(struct _gc_runtime_state, field)
int main(void)
{
    SHOW(gc_head, sizeof(PyGC_Head));
#if PY_VERSION_HEX >= 0x03000000
    SHOW(qualname, offsetof(PyHeapTypeObject, ht_qualname));
    SHOW(cached_keys, offsetof(PyHeapTypeObject, ht_cached_keys));
    SHOW(ascii, sizeof(PyASCIIObject));
    SHOW(compact, sizeof(PyCompactUnicodeObject));
#endif
#if PY_VERSION_HEX >= 0x03070000
    SHOW(young, GC(generations[0].head));
    SHOW(middle, GC(generations[1].head));
    SHOW(old, GC(generations[2].head));
    SHOW(frozen, GC(permanent_generation.head));
    SHOW(statistics, GC(generation_stats));
    SHOW(collecting, GC(collecting));
#endif
#if PY_VERSION_HEX >= 0x03090000
    SHOW(interpreters, offsetof(_PyRuntimeState, interpreters.head));
    SHOW(gc, offsetof(PyInterpreterState, gc));
    SHOW(next, offsetof(PyInterpreterState, next));
#elif PY_VERSION_HEX >= 0x03070000
    SHOW(gc, offsetof(_PyRuntimeState, gc));
#endif
#if PY_VERSION_HEX >= 0x030d0000
    SHOW(offset_of_head, offsetof(_Py_DebugOffsets, runtime_state.interpreters_head));
    SHOW(offset_of_next, offsetof(_Py_DebugOffsets, interpreter_state.next));
    SHOW(offset_of_gc, offsetof(_Py_DebugOffsets, interpreter_state.gc));
#endif
    return 0;
}
"""
HEADERS = {
    match.group(1): headers
    for root in (Path("/usr"), *PYENV.glob("[23].*"))
    for headers in root.glob("include/python[23].*")
    if (match := re.match(r"python(\d\.\d+)", headers.name)) and (headers / "Python.h").exists()
}


@pytest.mark.parametrize("version", HEADERS)
def test_the_table_says_what_the_headers_say(version: str, tmp_path: Path) -> None:
    source, program = tmp_path / "show.c", tmp_path / "show"
    source.write_text(SOURCE)
    headers = HEADERS[version]
    folders = [f"-I{headers}", f"-I{headers / 'internal'}"]
    subprocess.run(["gcc", "-w", *folders, "-o", program, source], check=True)
    shown = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    real = {name: int(value) for name, value in map(str.split, shown.splitlines())}
    major, minor = map(int, version.split("."))

    layout = cpython.LAYOUTS[major, minor]

    for name in ("gc_head", "qualname", "ascii", "compact", "statistics"):
        if name in real:
            assert getattr(layout, name) == real[name], name
    if "qualname" in real:
        assert real["cached_keys"] == real["qualname"] + 8
    if "young" in real:
        lists = tuple(real[name] for name in ("young", "middle", "old", "frozen"))
        assert lists in (layout.lists, layout.other_lists)
        assert real["collecting"] == real["statistics"] + 72
    if "offset_of_gc" in real:
        assert real["offset_of_head"] == cpython.HEADS_AT
        where = (real["offset_of_next"], real["offset_of_gc"])
        assert cpython.NEXT_AND_GC[major, minor] == where
    elif "gc" in real:
        assert layout.gc == real["gc"]
        assert layout.interpreters == real.get("interpreters", 0)
        assert layout.next == real.get("next", 0)
