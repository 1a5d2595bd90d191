"""See what ends the program, a thread or a coroutine with no loop to report it, from within Python's hooks.

`sys.excepthook`, `threading.excepthook` and `sys.unraisablehook` are everybody's. A program that puts its own
there after us, and does not call ours, is met again when a loop opens, and when one closes: `asyncio.run`
closes its loop just before the exception reaches the hook.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, FunctionType, MethodType
from typing import Any, Final

from .._faults import faults
from ..observations import Source
from .exceptions import is_failure
from .owners import beneath
from .sources import codes_of

__all__ = ["Tell", "Uncaught"]

Tell = Callable[[BaseException, Source, str], bool]
"""Tells an exception, with its source and in words; False where it is none of our business."""

_RUNS: Final = frozenset({"run_until_complete", "run_forever"})
"""The methods of a loop, of whatever kind, that an exception leaves when it ends what that was run for."""
# 3.14 gives no object, but says what it was.
_SAID: Final = (
    ("Exception ignored while closing generator <coroutine object ", "a coroutine"),
    ("Exception ignored while closing generator <async_generator object ", "an asynchronous generator"),
    ("Exception ignored while calling asyncio function ", "an event loop"),
)


class Uncaught:
    """Stands in front of the three hooks."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._seen: set[int] = set()
        """The exceptions that a hook of ours has seen, and is handing on just now, by their ids."""
        self._hooks: weakref.WeakSet[Any] = weakref.WeakSet()
        """Every hook of ours: somebody may still hold one that is not the foremost any more."""
        self._active = False

    def attach(self) -> None:
        """Put ours in front of what is there, wherever the foremost is not one of ours."""
        self._active = True
        self.stand()

    def stand(self) -> None:
        """Once more, after somebody may have put theirs there."""
        if not self._active:
            return
        for owner, name, observe in (
            (sys, "excepthook", self._main),
            (threading, "excepthook", self._thread),
            (sys, "unraisablehook", self._unraisable),
        ):
            found = getattr(owner, name)
            if not self._is_ours(found):
                setattr(owner, name, self._in_front_of(found, name, observe))

    def detach(self) -> None:
        """Put back what was found; what somebody has wrapped meanwhile stays, and does nothing."""
        self._active = False
        for owner, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
            found: Any = getattr(owner, name)
            if self._is_ours(found):
                setattr(owner, name, found.__wrapped__)

    def _is_ours(self, hook: object) -> bool:
        # A wrapper of somebody's may have our attributes, be equal to ours, and claim to be a function.
        return type(hook) is FunctionType and hook in self._hooks

    def _in_front_of(self, original: Any, name: str, observe: Callable[..., bool]) -> Any:
        """A hook that does what `original` does, and tells us."""

        def hook(*args: Any, **kwargs: Any) -> Any:
            key, call = 0, original
            try:
                # Nothing can be handed on any more once the interpreter is being torn down.
                if self._active and not sys.is_finalizing():
                    exception = args[1] if len(args) == 3 else args[0].exc_value
                    if id(exception) not in self._seen:
                        key = id(exception)
                        self._seen.add(key)
                        failure = isinstance(exception, BaseException) and is_failure(exception)
                        if failure and observe(exception, *args):
                            call = beneath(original)
            except Exception as error:  # noqa: BLE001  # ours, not the program's
                faults.add(error)
            try:
                return call(*args, **kwargs)
            finally:
                self._seen.discard(key)

        hook.__name__ = hook.__qualname__ = name
        hook.__wrapped__ = original  # type: ignore[attr-defined]  # as functools does
        self._hooks.add(hook)
        return hook

    # What is told.

    def _main(self, exception: BaseException, *_: Any) -> bool:
        # A prompt goes on, and so does whoever calls the hook from inside a running loop.
        if sys.flags.interactive or hasattr(sys, "ps1") or asyncio._get_running_loop() is not None:
            return False
        if threading.current_thread() is not threading.main_thread():
            return self._thread(exception)
        return came_through_a_loop(exception) and self._tell(exception, "main", "Main task failed")

    def _thread(self, exception: BaseException, *_: Any) -> bool:
        return came_through_a_loop(exception) and self._tell(
            exception, "thread", "Main task of a thread failed"
        )

    def _unraisable(self, exception: BaseException, unraisable: Any) -> bool:
        kind = _kind_of(unraisable.object, unraisable.err_msg)
        return kind is not None and self._tell(exception, "unraisable", f"Exception ignored in {kind}")


def came_through_a_loop(exception: BaseException) -> bool:
    """Whether the exception left a loop that ran; compiled loops give their class before the name."""
    return any(code.co_name.rpartition(".")[2] in _RUNS for _, code in codes_of(exception))


def _kind_of(thing: Any, message: Any) -> str | None:
    """What it was in whose destruction the exception was raised; None where that is none of our business."""
    kind = type(thing)
    if issubclass(kind, CoroutineType):
        return "a coroutine"
    if issubclass(kind, AsyncGeneratorType):
        return "an asynchronous generator"
    if issubclass(kind, asyncio.Future | asyncio.Handle):
        return "a future"
    if kind is MethodType:
        return "an event loop" if issubclass(type(thing.__self__), asyncio.AbstractEventLoop) else None
    if thing is None and isinstance(message, str):
        return next((words for said, words in _SAID if message.startswith(said)), None)
    return None
