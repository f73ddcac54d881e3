# SPDX-License-Identifier: Apache-2.0

"""Waits for a side's samples on a thread, and wakes event loops."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from ._side import Side

_IDLE = 1.0  # seconds that the thread stays with nothing to do


class Watch:
    """The thread takes at most one sample ahead of the readers, and only while somebody waits: so nothing is lost when
    the waiting coroutine is cancelled, and the order stays. While it is at it (busy), nobody else reads from the queue.
    """

    def __init__(self, side: Side[Any]) -> None:
        self.busy = False
        self._side = weakref.ref(side)  # a thread must not keep the side alive
        self._changed = side._handle.changed
        self._waiting: List[asyncio.Future[None]] = []
        self._thread: threading.Thread | None = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """A future that is done when it is worth to look for a sample again. The side's lock is held."""
        ready = loop.create_future()
        self._waiting.append(ready)
        self.busy = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="villas_ext watch", daemon=True)
            self._thread.start()
        else:
            self._changed.notify_all()
        return ready

    @staticmethod
    def ring(ready: asyncio.Future[None]) -> None:
        if not ready.done():
            ready.set_result(None)

    def _run(self) -> None:
        while self._wanted():
            side = self._side()
            if side is None or side._read_ahead():
                self._wake()
            del side

    def _wanted(self) -> bool:
        """Wait until somebody waits; False to end the thread."""
        with self._changed:
            while True:
                self._waiting = [ready for ready in self._waiting if not ready.done()]
                if self._waiting:
                    return True
                if self.busy:
                    self.busy = False
                    self._changed.notify_all()
                if not self._changed.wait_for(lambda: self._waiting, _IDLE):
                    self._thread = None
                    return False

    def _wake(self) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, []
            self.busy = False
            self._changed.notify_all()
        for ready in waiting:
            try:
                ready.get_loop().call_soon_threadsafe(self.ring, ready)
            except RuntimeError:  # the loop is closed
                pass
