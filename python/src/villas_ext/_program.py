# SPDX-License-Identifier: Apache-2.0

"""The external program's side."""

from __future__ import annotations

import ctypes
import errno
import os
import time

from . import abi
from ._memory import Handle
from ._region import Region
from ._side import Calls, deadline_of, left_until, slice_of


class Program(Region):
    """An external program's side of a region: see :func:`villas_ext.open`."""


# Seconds between two looks for a region that is not there.
_LOOK = 0.01


def open(name: str | os.PathLike[str], timeout: float | None = None, *, wait: bool = False, spin: int = -1,
         legacy: bool = True, lock_memory: bool = False) -> Program:
    """Open the region of a node, as an external program.

    name is that of the shared memory object, as ``/villas1``. With wait, a region that is not there yet is waited for.
    Even without it the call waits for a node built with the original, and for one that has not yet noticed that the
    program before us has gone. Ctrl-C ends the wait.

    spin is how long a read looks before it sleeps, in microseconds (-1: the environment's VILLAS_EXT_SPIN, or 50). Without
    legacy a node that knows only the original's protocol, and has to be trusted, is refused. lock_memory keeps the region
    in memory (mlock(2)).

    Raises FileNotFoundError (no such region: start the node first), PermissionError, TimeoutError, or OSError with errno
    EPROTO (not a region), EBADMSG (a damaged one), EBUSY (another program is attached), EOWNERDEAD (the node died),
    EPROTONOSUPPORT, EINVAL or ENAMETOOLONG (the name), ENOMEM, EMFILE.
    """
    calls = Calls("shmem_shared")
    name = os.fspath(name)
    open_ = calls.waiting("shmem_shared_open_options", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, result=ctypes.c_void_p)
    close = calls.waiting("shmem_shared_close", ctypes.c_void_p, ctypes.c_void_p)
    flags = (0 if legacy else abi.SHMEM_NO_LEGACY) | (abi.SHMEM_LOCK_MEMORY if lock_memory else 0)
    deadline = deadline_of(timeout)
    while True:
        moment = slice_of(left_until(deadline))
        options = abi.struct_shmem_open_options(ctypes.sizeof(abi.struct_shmem_open_options), flags, spin, ctypes.pointer(moment))
        address = open_(os.fsencode(name), None, ctypes.addressof(options))
        if address:
            break
        err, left = ctypes.get_errno(), left_until(deadline)
        if left <= 0 or err != errno.ETIMEDOUT and not (wait and err == errno.ENOENT):
            raise calls.error(errno.ETIMEDOUT if wait and err == errno.ENOENT else err, name)
        if err == errno.ENOENT:
            time.sleep(min(left, _LOOK))
    program = Program(name, calls, Handle(name, address, lambda shm: close(shm, None)))
    program._map(address + abi.struct_shmem_shared.pool.offset, address)
    return program
