"""Reading that must not take the CPU from the agent: in a thread of the lowest priority."""

import os
import threading
import typing

_Result = typing.TypeVar("_Result")


def niced(work: typing.Callable[[], _Result]) -> _Result:
    """Run ``work`` in a thread of the lowest priority; on Linux nice(2) is a thread's own.

    Raises what it raises, and MemoryError where no thread can be had.
    """
    results: typing.List[_Result] = []
    errors: typing.List[BaseException] = []

    def body() -> None:
        os.nice(19)
        try:
            results.append(work())
        except BaseException as error:  # handed over to the caller
            errors.append(error)

    thread = threading.Thread(target=body, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError("no memory for a thread") from error
    thread.join()
    if errors:
        raise errors.pop()  # kept in here, it would keep all that its frames hold
    return results[0]
