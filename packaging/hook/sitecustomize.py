"""Has the hook in an agent whose code is not touched: put this folder into its PYTHONPATH.

memleash_hook.py (a copy of the diagnoser's hook.py) stands beside it. A sitecustomize that the
agent's own environment has is run afterwards, as if this one were not there.
"""

import importlib.machinery
import os
import sys

import memleash_hook

memleash_hook.install()

_here = os.path.dirname(__file__)  # noqa: PTH120 - pathlib would slow every start
_elsewhere = [path for path in sys.path if path != _here]
_own = importlib.machinery.PathFinder.find_spec("sitecustomize", _elsewhere)
if _own is not None and _own.loader is not None:
    import importlib.util

    _module = importlib.util.module_from_spec(_own)
    sys.modules["sitecustomize"] = _module
    _own.loader.exec_module(_module)
