# SPDX-License-Identifier: Apache-2.0

"""The memory that samples lie in, and how long it stays.

A :class:`Handle` owns the C object of a side, a :class:`Pool` views the blocks of one of its regions, a :class:`Lease`
stands for the numpy arrays or memoryviews of a sample's values that user code holds. Leases refer to their pool and pools
to their handle, so the region stays mapped until the last of them is gone, whatever became of the side itself.
"""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
import weakref
from typing import Any, Callable, Dict, List, MutableSequence, Tuple

from . import abi

try:
    import numpy as numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

VALUES_OFFSET = abi.struct_sample.data.offset
VALUE_SIZE = ctypes.sizeof(abi.union_sample_data)

# Where the fields of a sample's head are, counted in elements of the views of class Blocks.
SEQUENCE, LENGTH = abi.struct_sample.sequence.offset // 4, abi.struct_sample.length.offset // 4
ORIGIN, RECEIVED, SENT = ((abi.struct_sample.ts.offset + t.offset) // 8
                          for t in (abi.struct_sample_ts.origin, abi.struct_sample_ts.received, abi.struct_sample_ts.sent))
FORMAT = abi.struct_sample.format.offset // 8
VALUES = VALUES_OFFSET // 4
SOURCE_OFFSET = abi.struct_sample.source.offset

VIEWED = "an array or memoryview of a sample's values is still in use: delete it first, or work on a copy"

_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


class Unusable:
    """Takes the place of memory that must not be touched any more; whoever tries gets the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __getitem__(self, index: Any) -> Any:
        raise ValueError(self._reason)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise ValueError(self._reason)


class Handle:
    """A side's C object. It is closed once: by the side, or when nothing refers to its memory any more."""

    def __init__(self, name: str, address: int, close: Callable[[int], Any]) -> None:
        self.name = name
        self.address = address  # 0: closed, calls get EINVAL
        self.inherited = False  # by a child, from the process that opened
        self.lock = threading.RLock()  # an RLock: finalizers and signal handlers run on any thread at any moment
        self.changed = threading.Condition(self.lock)  # address, users, or what was read ahead
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet()
        self._close = close
        self._closing = 0  # the address, until the last user has left
        self._users: Dict[int, int] = {}  # calls under way without the lock, by thread
        _handles.add(self)

    def enter(self) -> int:
        """Begin a C call without the lock, which must be held now; 0 if there is nothing to call."""
        if self.address:
            me = threading.get_ident()
            self._users[me] = self._users.get(me, 0) + 1
        return self.address

    def leave(self) -> None:
        """End it. A close that came in between is done now."""
        with self.lock:
            me = threading.get_ident()
            self._users[me] -= 1
            if not self._users[me]:
                del self._users[me]
                self._finish()
                self.changed.notify_all()

    def close(self) -> None:
        """Close the C object and make its memory unusable, once nobody uses it. BufferError if a view is alive."""
        # A signal handler, or a finalizer, may call this in the middle of anything that this thread does. What it does
        # without the lock ends the close when it leaves, what it does under the lock must go on as if nothing happened.
        interrupted: bool = self.lock._is_owned()  # type: ignore[attr-defined]
        with self.lock:
            if not self.address:
                return
            for pool in list(self.pools):
                pool.check_unviewed()
            self._closing, self.address = self.address, 0
            self.changed.notify_all()
            if interrupted:
                threading.Thread(target=self._finish).start()
                return
            while self._users and set(self._users) != {threading.get_ident()}:
                self.changed.wait()
            self._finish()

    def _finish(self) -> None:
        with self.lock:
            if self._closing and not self._users:
                address, self._closing = self._closing, 0
                for pool in list(self.pools):
                    pool.shut(f"{self.name} is closed")
                self._close(address)

    def leave_to_parent(self) -> None:
        """In a child of fork: the samples, and the C object, are the parent's."""
        self.inherited, self.address, self._closing, self._users = True, 0, 0, {}
        self.lock = threading.RLock()  # another thread of the parent may have held it
        self.changed = threading.Condition(self.lock)
        for pool in list(self.pools):
            pool.shut(inherited(self.name))

    def __del__(self) -> None:
        if self.address:
            address, self.address = self.address, 0
            self._close(address)


def inherited(name: str) -> str:
    return f"{name} was opened by the process that forked this one: open it again here"


def _after_fork_in_child() -> None:
    for handle in list(_handles):
        handle.leave_to_parent()


os.register_at_fork(after_in_child=_after_fork_in_child)


class Blocks:
    """Memory of samples, viewed as words of several kinds."""

    bytes: Any
    ints: MutableSequence[int]
    floats: MutableSequence[float]
    quads: MutableSequence[int]
    words: MutableSequence[int]

    def __init__(self, memory: Any, first: int, stride: int, value: Any) -> None:
        self.memory = memory
        self.first = first  # address
        self.stride = stride  # bytes
        self.value = value  # its type in C
        self.capacity = (stride - VALUES_OFFSET) // ctypes.sizeof(value)  # values
        view: Any = memoryview(memory).cast("B")
        self.bytes, self.ints, self.floats = view, view.cast("i"), view.cast("f")
        self.quads, self.words = view.cast("q"), view.cast("Q")

    def shut(self, reason: str) -> None:
        """Make every further access a ValueError."""
        views: Any = self.quads, self.words, self.floats, self.ints, self.bytes
        self._replace(Unusable(reason))
        for view in views:
            if isinstance(view, memoryview):  # not if it was shut before
                view.release()

    def _replace(self, unusable: Any) -> None:
        self.bytes = self.ints = self.floats = self.quads = self.words = unusable

    def view(self, at: int, length: int, code: str) -> Any:
        """The values of the sample at address at: a numpy array if numpy is there, else a memoryview."""
        raise NotImplementedError

    def check_unviewed(self, at: int | None = None) -> None:
        """BufferError if somebody holds a view of the values at address at, or of any."""

    def put(self, addresses: Tuple[int, ...]) -> None:
        """Return blocks."""

    def abandon(self, at: int, quiet: bool) -> None:
        """The holder of a block is gone: return it when nobody views it. A ResourceWarning unless quiet."""


class Gone(Blocks):
    """Takes the place of the memory of a sample that its holder gave away."""

    def __init__(self, reason: str) -> None:
        self.capacity = self.first = self.stride = 0
        self._replace(Unusable(reason))


def view_of(block: Any, length: int, code: str) -> Any:
    if numpy is not None:
        return numpy.ndarray((length,), code, block)
    view: Any = memoryview(block).cast("B")
    return view.cast(code)[:length]


class Lease(weakref.ref):  # type: ignore[type-arg]
    """Ends when the last array or memoryview of the values at some blocks is gone."""

    __slots__ = ("pool", "addresses", "orphaned")

    pool: Pool
    addresses: Tuple[int, ...]
    orphaned: bool  # nobody else holds the blocks any more: they go back with the lease

    @classmethod
    def of(cls, memory: Any, pool: Pool, addresses: Tuple[int, ...]) -> Lease:
        lease = cls(memory, cls._end)  # type: ignore[arg-type]
        lease.pool, lease.addresses, lease.orphaned = pool, addresses, False
        memory.pool = pool  # so that the region stays mapped
        return lease

    def _end(self) -> None:
        pool = self.pool
        with pool.handle.lock:
            if pool.leases.get(self.addresses[0]) is self:
                del pool.leases[self.addresses[0]]
            if self.orphaned:
                pool.put(self.addresses)


class Pool(Blocks):
    """The blocks of one mapped pool. put takes an array of addresses and their number."""

    def __init__(self, handle: Handle, address: int, blocks: abi.struct_shmem_blocks, put: Callable[[Any, int], Any],
                 value: Any = abi.union_sample_data) -> None:
        self.handle = handle
        self.address = address  # what allocates from it
        self.count: int = blocks.count
        self.leases: Dict[int, Lease] = {}  # by the address of the first block
        self.arrays: Any = None  # made at the first read or write of an array
        self._put = put
        memory = (ctypes.c_char * (blocks.count * blocks.stride)).from_address(blocks.first)
        super().__init__(memory, blocks.first, blocks.stride, value)
        self._values = value * self.capacity
        handle.pools.add(self)

    def __contains__(self, at: int) -> bool:
        return 0 <= at - self.first < self.count * self.stride

    def shut(self, reason: str) -> None:
        super().shut(reason)
        self.memory = self.arrays = None

    def view(self, at: int, length: int, code: str) -> Any:
        with self.handle.lock:
            lease = self.leases.get(at)
            memory = lease() if lease is not None else None
            if memory is None:
                if not self.handle.address:
                    raise ValueError(f"{self.handle.name} is closed")
                memory = self._values.from_address(at + VALUES_OFFSET)
                self.leases[at] = Lease.of(memory, self, (at,))
            return view_of(memory, length, code)

    def put(self, addresses: Tuple[int, ...]) -> None:
        with self.handle.lock:
            if self.handle.address:  # after the close there is nothing to return them to
                self._put((ctypes.c_size_t * len(addresses))(*addresses), len(addresses))

    def lend(self, addresses: Tuple[int, ...]) -> Tuple[Any, Lease]:
        """The memory of blocks that follow each other. They go back when nothing refers to that memory any more."""
        with self.handle.lock:
            memory = (ctypes.c_char * (len(addresses) * self.stride)).from_address(addresses[0])
            lease = self.leases[addresses[0]] = Lease.of(memory, self, addresses)
            lease.orphaned = True
            return memory, lease

    def abandon(self, at: int, quiet: bool) -> None:
        with self.handle.lock:
            if not self.handle.address:
                return
            lease = self.leases.get(at)
            if lease is not None and lease() is not None:
                lease.orphaned = True
            else:
                self.put((at,))
        if not quiet:
            warnings.warn(f"a sample of {self.handle.name} was never released", ResourceWarning, stacklevel=3)

    def check_unviewed(self, at: int | None = None) -> None:
        if not self.leases:
            return
        leases: List[Lease | None] = [self.leases.get(at)] if at is not None else list(self.leases.values())
        if any(lease is not None and lease() is not None for lease in leases):
            raise BufferError(VIEWED)


class Private(Blocks):
    """The one block of a sample that was copied out of shared memory."""

    def __init__(self, content: bytes, value: Any) -> None:
        memory = ctypes.create_string_buffer(content, -(-len(content) // 8) * 8)
        super().__init__(memory, ctypes.addressof(memory), len(content), value)

    def view(self, at: int, length: int, code: str) -> Any:
        return view_of((self.value * length).from_buffer(self.memory, VALUES_OFFSET), length, code)
