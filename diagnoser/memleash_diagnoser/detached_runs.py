"""Diagnoses that outlive the SSH session that began them, each in a folder of its own."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import typing

from . import plan as plans
from . import process, tools
from .collect import collect
from .plan import Plan

FORGOTTEN_SECONDS = 7 * 86400
PIECE_BYTES = 36 * 1024
Reply = typing.Dict[str, typing.Any]


def main(arguments: typing.Sequence[str]) -> int:
    """Run one verb and print its reply. Exit code 2: it was not understood or not possible."""
    try:
        verb, text, *more = arguments
        reply = _VERBS[verb](plans.parse(text), *more)
    except (KeyError, ValueError, TypeError, OSError) as error:
        reply = {"state": "error", "error": f"{type(error).__name__}: {error}"}
    json.dump(reply, sys.stdout)
    sys.stdout.write("\n")
    return 2 if reply["state"] == "error" else 0


def _start(plan: Plan) -> Reply:
    """1. the root, ours alone; 2. litter goes; 3. the run's folder, once; 4. off it goes."""
    _own_root(plan.work_root)
    _forget_old(plan.work_root)
    folder = _folder(plan)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return _status(plan)
    program = os.path.join(folder, "diagnoser.zip")
    shutil.copyfile(_my_zip(), program)
    with open(os.path.join(folder, "log.txt"), "wb") as log, open(os.devnull, "rb") as nothing:
        child = subprocess.Popen(
            [sys.executable, program, "collect", plans.text(plan)],
            stdin=nothing,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    _write_state(folder, "running", child.pid)
    return _status(plan)


def _collect(plan: Plan) -> Reply:
    """Run in the foreground; the state file tells the end to whoever asks."""
    folder = _folder(plan)
    report = os.path.join(folder, "report")
    os.mkdir(report)
    try:
        evidence = collect(plan, report)
    except tools.Refused as refusal:
        reason, _, detail = str(refusal).partition(": ")
        state = {"state": "refused", "reason": reason, "detail": detail}
    else:
        state = {"state": "done", "outcome": evidence.outcome}
    _write_json(os.path.join(folder, "ended.json"), state)
    return state


def _status(plan: Plan) -> Reply:
    folder = _folder(plan)
    ended = _read_json(os.path.join(folder, "ended.json"))
    if ended is not None:
        return ended
    if not os.path.isdir(folder):
        return {"state": "unknown"}
    running = _read_json(os.path.join(folder, "state.json"))
    if running is None or not _is_alive(running):
        return _read_json(os.path.join(folder, "ended.json")) or {"state": "died"}
    return running


def _read(plan: Plan, offset: str) -> Reply:
    """Give a piece of the report's tar.gz, which is made when its beginning is asked for.

    Pieces, since little of a command's output is kept; and no SFTP, since hosts do without it,
    and since the folder is root's where the diagnoser runs by sudo.
    """
    folder = _folder(plan)
    report, packed = os.path.join(folder, "report"), os.path.join(folder, "report.tar.gz")
    if int(offset) == 0:
        with tarfile.open(packed, "w:gz") as tar:
            for inner, _, names in os.walk(report):
                for name in sorted(names):
                    path = os.path.join(inner, name)
                    tar.add(path, os.path.relpath(path, report), recursive=False)
    with open(packed, "rb") as file:
        file.seek(int(offset))
        piece = base64.b64encode(file.read(PIECE_BYTES)).decode()
    return {"state": "read", "data": piece, "bytes": os.path.getsize(packed)}


def _stop(plan: Plan) -> Reply:
    running = _read_json(os.path.join(_folder(plan), "state.json"))
    if running is not None and _is_alive(running):
        os.kill(running["pid"], signal.SIGTERM)
    return _status(plan)


def _clean(plan: Plan) -> Reply:
    """Remove the run, and the root with it when this was the last one."""
    state = _status(plan)
    if state["state"] == "running":
        raise ValueError("the diagnosis is still running; stop it first")
    shutil.rmtree(_folder(plan), ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir(plan.work_root)
    return {"state": "unknown"}


_VERBS: typing.Dict[str, typing.Callable[..., Reply]] = {
    "start": _start,
    "status": _status,
    "read": _read,
    "stop": _stop,
    "clean": _clean,
    "collect": _collect,
}


def _folder(plan: Plan) -> str:
    return os.path.join(plan.work_root, plan.run)


def _own_root(root: str) -> None:
    """Make ``root``, or check that it is ours alone: it may stand in a folder anyone writes to."""
    with contextlib.suppress(FileExistsError):
        os.makedirs(root, 0o700)
    found = os.lstat(root)
    if found.st_uid != os.geteuid() or found.st_mode & 0o170077 != 0o040000:
        raise ValueError(f"{root} must be a folder that only this user may enter")


def _forget_old(root: str) -> None:
    for name in os.listdir(root):
        path = os.path.join(root, name)
        if time.time() - os.lstat(path).st_mtime > FORGOTTEN_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _my_zip() -> str:
    """Return the zip file that this package was imported from."""
    loader = globals()["__loader__"]
    return typing.cast(str, loader.archive)


def _write_state(folder: str, state: str, pid: int) -> None:
    with contextlib.suppress(process.Gone):
        found = process.find(pid)
        content = {"state": state, "pid": pid, "start_ticks": found.start_ticks}
        _write_json(os.path.join(folder, "state.json"), content)


def _is_alive(running: Reply) -> bool:
    try:
        return bool(process.find(running["pid"]).start_ticks == running["start_ticks"])
    except process.Gone:
        return False


def _write_json(path: str, content: Reply) -> None:
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(path + ".new", path)


def _read_json(path: str) -> typing.Optional[Reply]:
    try:
        with open(path, encoding="utf-8") as file:
            return typing.cast(Reply, json.load(file))
    except FileNotFoundError:
        return None
