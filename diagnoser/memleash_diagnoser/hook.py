"""Counts what is alive in this very process, in rounds, when asked to. Part of memleash.

One file that needs nothing but CPython 3.8 or newer on Linux. It is had by a .pth file or a
sitecustomize in the agent's environment (packaging/hook/), or by its author, who writes at the top:

    import memleash_hook
    memleash_hook.install()

It takes no signal and starts no thread until it is asked: it looks into its mailbox whenever the
garbage collector begins, which it does all the time in a process that makes objects. Until it is
asked it costs one file descriptor, and less than a microsecond for each collection. While it works
it is one thread, which leaves when it is told to, and by itself when nobody renews the lease. Where
the settings allow it, the diagnoser runs the same file through sys.remote_exec (3.14).

The mailbox is a memfd, so that it needs no folder, no rights and leaves nothing behind: the
first REQUEST_BYTES hold the diagnoser's request (JSON, padded), answers follow, one JSON a line.

request: {"run": "…", "round": 2, "kinds": ["types", "sites"], "names": [],
          "lease_until": <CLOCK_MONOTONIC>, "stop": false}
answer:  {"run": "…", "round": 2, "seconds": 0.4, "cpu_seconds": 0.2, "notes": [],
          "types": {name: [count, bytes]},
          "containers": {id: [type, length]}, "names": {id: [holder, element, element_bytes]},
          "sites": {"file:line": [count, bytes]}}

It runs none of the agent's code: types are asked by their C slots, never by attribute; the one
exception is a ``__sizeof__`` of the agent's own. It keeps no reference between two rounds.
It is imported at the start of every Python of its environment, so it imports little until asked.
"""

import _thread
import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing

    _Json = typing.Dict[str, typing.Any]
    _Counts = typing.Dict[str, typing.List[int]]

REQUEST_BYTES = 4096
MAILBOX = "memleash-hook"
MOST_NAMES = 2000
MOST_NAME_LETTERS = 200
LARGE_CONTAINER = 500
MOST_CONTAINERS = 200
MOST_TRACE_BYTES = 256 * 1024**2
POLL_SECONDS = 0.25
BATCH = 10000
PAUSE_SECONDS = 0.0005

_start_thread, _sleep, _now = _thread.start_new_thread, time.sleep, time.monotonic
_module_of = type.__dict__["__module__"].__get__
_name_of = type.__dict__["__qualname__"].__get__


def install() -> None:
    """Open the mailbox, and look into it at each garbage collection. Once is enough.

    Raises RuntimeError after eventlet or gevent replaced threads: call it before them.
    """
    if not all(isinstance(function, type(len)) for function in (_start_thread, _sleep)):
        raise RuntimeError("memleash_hook must be imported before threads are monkey-patched")
    if not any(isinstance(getattr(one, "__self__", None), _Hook) for one in gc.callbacks):
        gc.callbacks.append(_Hook().at_collection)


class _Hook:
    """A mailbox of this process. A fork has its own; one that was closed is opened anew.

    Daemons fork and then close every file that they did not open, so neither the process nor the
    descriptor is taken for granted: the pid and the file behind the descriptor are compared.
    """

    def __init__(self) -> None:
        self._working = False
        self._next_look = 0.0
        self._open()
        os.register_at_fork(after_in_child=self._look_at_once)

    def at_collection(self, phase: str, _info: object) -> None:
        """Begin to serve if there is a request. Runs in any thread, inside of an allocation."""
        now = _now()
        if phase != "start" or now < self._next_look:
            return
        self._next_look = now + POLL_SECONDS
        if self._working and os.getpid() == self._pid:
            return
        try:
            if os.getpid() != self._pid or not self._is_mine():
                self._reopen()
            if os.pread(self._fd, 1, 0) == b"{" and not sys.is_finalizing():
                self._working = True
                _start_thread(self._work, ())
        except (OSError, RuntimeError):  # no file descriptor or no thread to be had
            self._working = False

    def _look_at_once(self) -> None:
        self._next_look = 0.0

    def _work(self) -> None:
        try:
            _serve(self._fd)
        except OSError:  # the mailbox was closed under it
            pass
        finally:
            if self._is_mine():
                os.ftruncate(self._fd, 0)
                os.ftruncate(self._fd, REQUEST_BYTES)
            self._working = False

    def _open(self) -> None:
        self._pid = os.getpid()
        self._fd = os.memfd_create("%s:%d" % (MAILBOX, self._pid))
        os.ftruncate(self._fd, REQUEST_BYTES)
        self._file = _identity(self._fd)

    def _reopen(self) -> None:
        self._working = False  # the thread of a parent is not ours
        if self._is_mine():
            os.close(self._fd)
        self._open()

    def _is_mine(self) -> bool:
        try:
            return _identity(self._fd) == self._file
        except OSError:
            return False


def _identity(fd: int) -> "typing.Tuple[int, int]":
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def begin(name: str, request: str) -> None:
    """Open a mailbox called ``name`` with its first ``request`` (text) in it and serve it.

    Returns when the rounds are over, so call it in a thread of its own. Does nothing when the
    mailbox is there already: a sleeping agent may be asked twice and hear both when it wakes.
    """
    for other in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + other).startswith("/memfd:%s " % name):
                return
        except OSError:  # closed since it was listed
            continue
    fd = os.memfd_create(name)
    try:
        os.pwrite(fd, request.encode().ljust(REQUEST_BYTES), 0)
        _serve(fd)
    finally:
        os.close(fd)


def _serve(fd: int) -> None:
    """Answer each new round until told to stop, or until the lease runs out."""
    import json
    import tracemalloc

    tracing_was_on = tracemalloc.is_tracing()
    done: typing.Tuple[str, int] = ("", -1)
    where = REQUEST_BYTES
    try:
        while True:
            try:
                request = json.loads(os.pread(fd, REQUEST_BYTES, 0).strip(b"\0 ").decode())
            except ValueError:  # it is being written
                request = None
            if request is not None:
                if request["stop"] or time.monotonic() > request["lease_until"]:
                    return
                if (request["run"], request["round"]) != done:
                    done = request["run"], request["round"]
                    line = (json.dumps(_look(request)) + "\n").encode()
                    where += os.pwrite(fd, line, where)
            _sleep(POLL_SECONDS)
    finally:
        if not tracing_was_on:
            tracemalloc.stop()


def _look(request: "_Json") -> "_Json":
    """Return one round's answer."""
    began, cpu_began = time.monotonic(), time.thread_time()
    answer: _Json = {"run": request["run"], "round": request["round"], "notes": []}
    try:
        for kind in request["kinds"]:
            _KINDS[kind](answer)
        if request["names"]:
            answer["names"] = _names({int(name, 16) for name in request["names"]})
    except MemoryError:
        answer["notes"].append("not enough memory to look")
    answer["seconds"] = round(time.monotonic() - began, 3)
    answer["cpu_seconds"] = round(time.thread_time() - cpu_began, 3)
    return answer


def _types(answer: "_Json") -> None:
    """Count what the garbage collector tracks, by type, and measure the large containers.

    Gives the GIL away after each batch, so that the agent waits milliseconds, not the whole walk.
    """
    containers = _container_types()
    found: typing.Dict[type, typing.List[typing.Any]] = {}
    large: typing.List[typing.Tuple[int, str, str]] = []
    for index, thing in enumerate(gc.get_objects()):
        kind = type(thing)
        entry = found.get(kind)
        if entry is None:
            base = next((base for base in containers if issubclass(kind, base)), None)
            entry = found[kind] = [0, 0, base]
        entry[0] += 1
        entry[1] += _size(thing)
        if entry[2] is not None:
            length = entry[2].__len__(thing)
            if length >= LARGE_CONTAINER and thing is not large:
                large.append((length, "%x" % id(thing), _name_of(kind)[:MOST_NAME_LETTERS]))
        if index % BATCH == 0:
            _sleep(PAUSE_SECONDS)
    thing = None
    named: _Counts = {}
    for kind, (count, size, _) in found.items():
        name = "%s.%s" % (_module_of(kind), _name_of(kind))
        entry = named.setdefault(name[:MOST_NAME_LETTERS], [0, 0])
        entry[0] += count
        entry[1] += size
    large.sort(reverse=True)
    answer["types"] = _largest(named)
    answer["containers"] = {key: [kind, length] for length, key, kind in large[:MOST_CONTAINERS]}


def _container_types() -> "typing.Tuple[typing.Any, ...]":
    import collections

    return list, dict, set, collections.deque


def _size(thing: object) -> int:
    try:
        return sys.getsizeof(thing)
    except Exception:  # an agent's own __sizeof__ may do anything
        return 0


def _names(wanted: "typing.Set[int]") -> "_Json":
    """Tell who holds each wanted container (``app.CACHE``, ``Store.items``) and what is in it.

    One walk in C over all objects, with the GIL held: this is why it is done once, at the end.
    """
    things = [thing for thing in gc.get_objects() if id(thing) in wanted]
    holders: typing.Dict[int, str] = {}
    dicts: typing.List[_Json] = []
    for referrer in gc.get_referrers(*things):
        if referrer is things:
            continue
        if type(referrer) is dict:
            dicts.append(referrer)
        else:
            _held_by(referrer, _name_of(type(referrer)), wanted, holders)
    owners = gc.get_referrers(*dicts) if dicts else []
    for owner in owners:
        attributes = _attributes(owner)
        if issubclass(type(owner), type):
            _held_by(owner, _name_of(owner), wanted, holders)
        elif any(attributes is one for one in dicts):
            module = type(owner) is type(sys)
            name = owner.__name__ if module else _name_of(type(owner))
            _held_by(owner, name, wanted, holders)
    return {"%x" % id(thing): [holders.get(id(thing), ""), *_elements(thing)] for thing in things}


def _held_by(
    owner: object, name: str, wanted: "typing.Set[int]", holders: "typing.Dict[int, str]"
) -> None:
    attributes = _attributes(owner)
    for key, value in list(attributes.items()) if attributes else ():
        if id(value) in wanted:
            holders[id(value)] = ("%s.%s" % (name, key))[:MOST_NAME_LETTERS]


def _attributes(owner: object) -> "typing.Optional[typing.Mapping[str, object]]":
    """Return the ``__dict__`` of ``owner``, or None, without running its own code."""
    try:
        found: typing.Mapping[str, object] = object.__getattribute__(owner, "__dict__")
    except Exception:  # it has none
        return None
    return found


def _elements(thing: "typing.Any") -> "typing.List[typing.Any]":
    """Return the commonest type among some elements of a container, and their mean size."""
    import collections
    import itertools

    base = next(base for base in _container_types() if issubclass(type(thing), base))
    try:
        walk = dict.values(thing) if base is dict else base.__iter__(thing)
        some = list(itertools.islice(walk, 100))
    except RuntimeError:  # it changed while we looked
        return ["", 0]
    kinds = collections.Counter(_name_of(type(one))[:MOST_NAME_LETTERS] for one in some)
    return [kinds.most_common(1)[0][0], sum(map(_size, some)) // len(some)] if some else ["", 0]


def _sites(answer: "_Json") -> None:
    """Give what was allocated since the first round and is still alive, by file and line."""
    import tracemalloc

    if not tracemalloc.is_tracing():
        tracemalloc.start(1)
        answer["sites"] = {}
        return
    if tracemalloc.get_tracemalloc_memory() > MOST_TRACE_BYTES:
        tracemalloc.clear_traces()
        answer["notes"].append("sites: given up, tracing took over %d bytes" % MOST_TRACE_BYTES)
        return
    named: _Counts = {}
    for trace in tracemalloc.take_snapshot().traces:
        frame = trace.traceback[0]
        if frame.filename not in (__file__, tracemalloc.__file__):
            where = "%s:%d" % (frame.filename[-MOST_NAME_LETTERS:], frame.lineno)
            entry = named.setdefault(where, [0, 0])
            entry[0] += 1
            entry[1] += trace.size
    answer["sites"] = _largest(named)


def _largest(named: "_Counts") -> "_Counts":
    return dict(sorted(named.items(), key=lambda item: item[1][1], reverse=True)[:MOST_NAMES])


_KINDS = {"types": _types, "sites": _sites}
