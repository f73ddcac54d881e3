# SPDX-License-Identifier: Apache-2.0

"""The node's side."""

from __future__ import annotations

import ctypes
import errno
import os

from . import abi
from ._memory import Handle
from ._region import Region
from ._side import NOW, Calls, Pausing, deadline_of, left_until, run, run_async

# Seconds between two looks for a program. The C call looks every millisecond itself.
_LOOK = 0.002


class Node(Region):
    """A node's side of a region: like a listening socket it has a name, and programs come and go one after the other.

    Creating it puts a region under the name, in place of one that a dead node left there. queuelen is the number of
    samples either queue has room for, samplelen the number of values of a sample. With polling, readers of both sides
    poll; otherwise they sleep and are woken. mode and group are the permissions of the object; spin, legacy and
    lock_memory are those of :func:`villas_ext.open`.

    Raises FileExistsError (a living node has the name), PermissionError, or OSError with errno EINVAL, ENAMETOOLONG,
    ENOSPC, ENOMEM.
    """

    def __init__(self, name: str | os.PathLike[str], *, queuelen: int = abi.DEFAULT_SHMEM_QUEUELEN,
                 samplelen: int = abi.DEFAULT_SHMEM_SAMPLELEN, polling: bool = False, mode: int = 0o600,
                 group: int | None = None, spin: int = -1, legacy: bool = True, lock_memory: bool = False) -> None:
        calls = Calls("shmem_node")
        name = os.fspath(name)
        pointer = ctypes.c_void_p
        create = calls.waiting("shmem_node_create", ctypes.c_char_p, pointer, result=pointer)
        close = calls.waiting("shmem_node_close", pointer)
        self._accept = calls.waiting("shmem_node_accept", pointer, pointer)
        self._pool_address = calls.waiting("shmem_node_pool", pointer, result=pointer)
        self._shared_address = calls.waiting("shmem_node_shared", pointer, result=pointer)
        flags = (0 if legacy else abi.SHMEM_NO_LEGACY) | (abi.SHMEM_LOCK_MEMORY if lock_memory else 0)
        options = abi.struct_shmem_node_options(
            ctypes.sizeof(abi.struct_shmem_node_options), queuelen, samplelen, polling, flags, spin, mode,
            0xFFFF_FFFF if group is None else group)
        address = create(os.fsencode(name), ctypes.addressof(options))
        if not address:
            raise calls.error(ctypes.get_errno(), name)
        super().__init__(name, calls, Handle(name, address, close))
        self._map(self._pool_address(address), self._shared_address(address))

    def accept(self, timeout: float | None = None) -> None:
        """Wait for an external program. If the former one has gone, a fresh region is put under the name first: samples
        of the former one can still be read and released, but no longer written. TimeoutError if none comes."""
        run(self._accepting(timeout))

    async def accept_async(self, timeout: float | None = None) -> None:
        """:meth:`accept` for asyncio."""
        await run_async(self._accepting(timeout))

    def _accepting(self, timeout: float | None) -> Pausing[None]:
        # Never waits in C: the region may be replaced in any accept, and nobody may be in the middle of a call then.
        deadline = deadline_of(timeout)
        while True:
            with self._handle.lock:
                failed = self._accept(self._handle.address, NOW)
                err = ctypes.get_errno()
                address = self._handle.address
                pool = address and self._pool_address(address)
                if address and pool != self._pool.address:
                    self._map(pool, self._shared_address(address))
            if not failed:
                return
            if err != errno.ETIMEDOUT:
                self._fail(err, False)
            left = left_until(deadline)
            if left <= 0:
                raise self._calls.error(errno.ETIMEDOUT, self._name)
            yield min(left, _LOOK)
