"""Tells what its own garbage collector tracks, then sleeps without changing it: argv is a file."""

# It runs under Python 2.7 too, which knows no annotations and no pathlib.
# ruff: noqa: UP004, UP010, UP012, UP031, PTH104, C402
# mypy: ignore-errors
from __future__ import print_function

import collections
import gc
import os
import sys
import time


class Plain(object):
    SHARED = [0] * 601

    def __init__(self):
        self.name = "plain"
        self.held = [1]


class Slotted(object):
    __slots__ = ("left", "right")


class OldStyle:
    pass


class OwnList(list):
    pass


class OwnTuple(tuple):
    pass


PLAIN = [Plain() for _ in range(500)]
SLOTTED = [Slotted() for _ in range(300)]
OLD_STYLE = [OldStyle() for _ in range(50)]
OWN = [OwnList(range(length)) for length in range(100)]
TUPLES = [OwnTuple((1, [])) for _ in range(30)]
DICTS = [dict((key, []) for key in range(length)) for length in range(50)]
SETS = [set(range(length)) for length in range(50)]
DEQUES = [collections.deque(range(length)) for length in range(300)]
PLAIN[7].held = [PLAIN[0]] * 600
SLOTTED[7].left = [PLAIN[0]] * 602
OLD_STYLE[7].late = [PLAIN[0]] * 603
BY_USER = {"someone": OwnList([PLAIN[0]] * 604)}
LONG_DICT = dict((key, []) for key in range(700))
LONG_SET = set(range(800))
LONG_LIST = list(range(900))
LONG_DEQUE = collections.deque(range(999))
COUNTS = collections.defaultdict(int)
SIZES = collections.defaultdict(int)


def count():
    COUNTS.clear()
    SIZES.clear()
    for thing in gc.get_objects():
        kind = type(thing)
        if kind.__name__ == "instance":
            kind = thing.__class__
        name = kind.__module__ + "." + getattr(kind, "__qualname__", kind.__name__)
        COUNTS[name] += 1
        SIZES[name] += sys.getsizeof(thing)


"".encode()  # Python 2 imports the encoding now
gc.collect()
if hasattr(gc, "unfreeze"):
    gc.unfreeze()
gc.disable()
for _ in range(3):  # the first ones still change what they count
    count()
told = os.open(sys.argv[1] + ".part", os.O_WRONLY | os.O_CREAT)
for name in COUNTS:
    os.write(told, ("%s %d %d\n" % (name, COUNTS[name], SIZES[name])).encode())
os.rename(sys.argv[1] + ".part", sys.argv[1])
while True:
    time.sleep(1000)
