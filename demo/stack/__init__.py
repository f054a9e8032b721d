"""The loopback stack as a library: every part a real process, on free ports, in one folder.

`make demo` tells its story on it, the integration tests test on it. ``stack.Stack`` is the
way in; the other modules are its parts. It needs what ``tools/setup demo`` installs.
"""
