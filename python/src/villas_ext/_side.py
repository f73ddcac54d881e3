# SPDX-License-Identifier: Apache-2.0

"""What both sides of a region do alike: read, write, allocate, iterate, close."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import struct
import time
import warnings
from collections import deque
from datetime import datetime
from typing import Any, Callable, Deque, Generator, Iterable, List, NoReturn, Sequence, Tuple, TypeVar

from . import _library, abi
from ._arrays import Rows, SampleArray, Table, Times
from ._memory import LENGTH, SEQUENCE, SOURCE_OFFSET, VALUES_OFFSET, Blocks, Handle, Pool, inherited
from ._sample import WRITTEN, Sample, to_ns
from ._watch import Watch

_Self = TypeVar("_Self", bound="Side")
_T = TypeVar("_T")

#: The longest stay in a C call, in ns. A signal handler, that of Ctrl-C for one, runs after it at the latest. The library
#: itself looks after the other side as often while it waits, so this costs no wake-up of its own.
_SLICE_NS = 50_000_000

#: The longest pause between two looks for room, in seconds. Nobody wakes a writer.
_PAUSE = 0.001

#: An asyncio task that never has to wait for a sample lets the others run after so many.
_UNFAIR = 64

_One = ctypes.c_size_t * 1
_ZERO = abi.struct_timespec(0, 0)
NOW = ctypes.addressof(_ZERO)

# What is set in a sample that was allocated, around what must stay.
_head = struct.Struct("=ii")
_rest = struct.Struct("=q6qQ")
assert (SEQUENCE, LENGTH) == (0, 1) and SOURCE_OFFSET + _rest.size == VALUES_OFFSET


class Calls:
    """The C functions of one kind of side, with addresses as plain numbers.

    Those that never wait keep the GIL: giving it up costs as much as the call, and up to milliseconds while another
    thread computes. Those that may wait (and a close, and an accept) release it.
    """

    def __init__(self, kind: str) -> None:
        library = _library.load()
        self._waiting = library
        self._leaves = ctypes.PyDLL(library._name, handle=library._handle, use_errno=True)
        pointer, count = ctypes.c_void_p, ctypes.c_uint
        self.read_now = self._leaf(f"{kind}_read_timeout", pointer, pointer, count, pointer)
        self.write_now = self._leaf(f"{kind}_write", pointer, pointer, count)
        self.alloc = self._leaf("sample_alloc", pointer, pointer, ctypes.c_int)
        self.put_many = self._leaf("sample_put_many", pointer, ctypes.c_int)
        self.blocks = self._leaf("shmem_shared_blocks", pointer, pointer)
        self.read = self.waiting(f"{kind}_read_timeout", pointer, pointer, count, pointer)
        self._strerror = library["shmem_shared_strerror"]
        self._strerror.restype = ctypes.c_char_p

    def _leaf(self, name: str, *arguments: Any) -> Any:
        function = self._leaves[name]
        function.argtypes = arguments
        return function

    def waiting(self, name: str, *arguments: Any, result: Any = ctypes.c_int) -> Any:
        function = self._waiting[name]
        function.argtypes, function.restype = arguments, result
        return function

    def error(self, err: int, name: str) -> OSError:
        """What errno value err means; OSError makes TimeoutError, FileNotFoundError and so on of it."""
        return OSError(err, self._strerror(err).decode(), name)


def deadline_of(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def left_until(deadline: float | None) -> float:
    return float("inf") if deadline is None else deadline - time.monotonic()


# A call that may have to pause is a generator of pauses in seconds: one text for threads and for event loops.
Pausing = Generator[float, None, _T]


def run(steps: Pausing[_T]) -> _T:
    try:
        while True:
            time.sleep(next(steps))
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()  # at once, whatever came in between


async def run_async(steps: Pausing[_T]) -> _T:
    try:
        while True:
            await asyncio.sleep(next(steps))
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()


def _pauses() -> Generator[float, None, None]:
    yield 0.0
    pause = 0.00005
    while True:
        yield pause
        pause = min(2 * pause, _PAUSE)


class Side:
    """One side of a region: what :func:`villas_ext.open` and :class:`villas_ext.Node` have in common.

    Any number of threads may use it at once. ``timeout`` is in seconds: None waits for ever, 0 does not wait. Calls that
    wait release the GIL, and signal handlers run meanwhile: Ctrl-C ends a wait within 50 ms, and loses no sample.

    Raises TimeoutError when the time is over; EOFError from a read once the other side has stopped and all it sent is
    read; BrokenPipeError from a write to a side that has stopped; OSError with errno EOWNERDEAD when the other side died,
    ECANCELED when another thread closed this one meanwhile; ValueError after the close.
    """

    _pool: Pool  # of the present region

    def __init__(self, name: str, calls: Calls, handle: Handle) -> None:
        self._name = name
        self._calls = calls
        self._handle = handle
        self._ahead: Deque[Tuple[Pool, int]] = deque()  # taken, and not yet handed out: the next read's
        self._watch = Watch(self)
        self._without_pause = 0

    def _map(self, pool: int, shared: int) -> None:
        """View the blocks of the present region."""
        blocks = abi.struct_shmem_blocks()
        self._calls.blocks(shared, ctypes.addressof(blocks))
        self._pool = Pool(self._handle, pool, blocks, self._calls.put_many)

    @property
    def name(self) -> str:
        """Of the region."""
        return self._name

    @property
    def capacity(self) -> int:
        """How many values a sample has room for: the node's samplelen, or some more."""
        return self._pool.capacity

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return not self._handle.address

    # Reading.

    def read(self, timeout: float | None = None) -> Sample:
        """Wait for the next sample and take it. It is the caller's until it is released or written."""
        taken = _One()
        try:
            pool, _ = self._pull(taken, 1, deadline_of(timeout))
            return Sample(pool, taken)
        except BaseException:
            self._keep(taken)
            raise

    def read_many(self, n: int, timeout: float | None = None) -> List[Sample]:
        """Wait for a sample, and take up to n of those that are there."""
        taken = _room(n)
        try:
            pool, got = self._pull(taken, n, deadline_of(timeout))
            return [Sample(pool, taken, i) for i in range(got)]
        except BaseException:
            self._keep(taken)
            raise

    def read_array(self, n: int, *, minimum: int = 1, copy: bool = True, timeout: float | None = None) -> SampleArray:
        """Take up to n samples and give their contents as arrays, a row a sample.

        Waits until there are minimum of them. There may be fewer, but not none, once the time is over or the other side
        has stopped; an exception that comes in between (Ctrl-C, a cancellation) gives up the rows read so far.

        Everything is copied out of shared memory, in one step per read, and the samples go back at once. Without copy, and
        with numpy, the arrays are views of shared memory if they can be: that is if one read gave all, the blocks follow
        each other, and all have as many values; see :attr:`SampleArray.shared`.
        """
        table, deadline = Table(copy, minimum), deadline_of(timeout)
        while len(table) < max(1, min(n, minimum)):
            taken = _room(n - len(table))
            try:
                pool, got = self._pull(taken, len(taken), deadline)
            except BaseException as failure:
                self._break_off(failure, table, taken)
                break
            self._gather(table, pool, taken, got)
        return table.finish()

    async def read_async(self, timeout: float | None = None) -> Sample:
        """:meth:`read` for asyncio. Cancelling it loses no sample: the next read gets it."""
        taken = _One()
        try:
            pool, _ = await self._pull_async(taken, 1, deadline_of(timeout))
            return Sample(pool, taken)
        except BaseException:
            self._keep(taken)
            raise

    async def read_array_async(self, n: int, *, minimum: int = 1, copy: bool = True,
                               timeout: float | None = None) -> SampleArray:
        """:meth:`read_array` for asyncio."""
        table, deadline = Table(copy, minimum), deadline_of(timeout)
        while len(table) < max(1, min(n, minimum)):
            taken = _room(n - len(table))
            try:
                pool, got = await self._pull_async(taken, len(taken), deadline)
            except BaseException as failure:
                self._break_off(failure, table, taken)
                break
            self._gather(table, pool, taken, got)
        return table.finish()

    def _pull(self, taken: Any, n: int, deadline: float | None) -> Tuple[Pool, int]:
        """Wait for samples, put the addresses of up to n into taken, and return their pool and number."""
        handle = self._handle
        waited = False
        while True:
            with handle.lock:
                pool, got = self._pull_now(taken, n, waited)
                if got:
                    return pool, got
                left = left_until(deadline)
                if left <= 0:
                    raise self._calls.error(errno.ETIMEDOUT, self._name)
                waited = True
                if self._watch.busy:  # it gets the next sample, and puts it ahead
                    handle.changed.wait(min(left, _SLICE_NS / 1e9))
                    continue
                address = handle.enter()
            try:
                got = self._calls.read(address, taken, n, ctypes.byref(slice_of(left)))
                err = ctypes.get_errno()
            finally:
                handle.leave()
            if got > 0:
                return self._pool_of(taken[0]), got
            if err not in (errno.ETIMEDOUT, errno.ECANCELED):
                self._fail(err, waited)

    def _pull_now(self, taken: Any, n: int, waited: bool = False) -> Tuple[Pool, int]:
        """The same without a wait; the number may be 0. The lock is held."""
        if self._ahead:
            pool, got = self._ahead[0][0], 0
            while got < n and self._ahead and self._ahead[0][0] is pool:
                taken[got] = self._ahead.popleft()[1]
                got += 1
            return pool, got
        if self._watch.busy:
            return self._pool, 0
        got = self._calls.read_now(self._handle.address, taken, n, NOW)
        if got < 0:
            err = ctypes.get_errno()
            if err != errno.ETIMEDOUT:
                self._fail(err, waited)
            got = 0
        return self._pool, got

    async def _pull_async(self, taken: Any, n: int, deadline: float | None) -> Tuple[Pool, int]:
        loop = asyncio.get_running_loop()
        self._without_pause += 1
        if self._without_pause >= _UNFAIR:
            self._without_pause = 0
            await asyncio.sleep(0)
        waited = False
        while True:
            with self._handle.lock:
                pool, got = self._pull_now(taken, n, waited)
                if got:
                    return pool, got
                left = left_until(deadline)
                if left <= 0:
                    raise self._calls.error(errno.ETIMEDOUT, self._name)
                waited = True
                ready = self._watch.watch(loop)
            self._without_pause = 0
            timer = None if deadline is None else loop.call_later(left, Watch.ring, ready)
            try:
                await ready
            finally:
                if timer is not None:
                    timer.cancel()

    def _read_ahead(self) -> bool:
        """On the watch's thread: wait a while for a sample and put it ahead; whether there is something to look at."""
        taken = _One()
        with self._handle.lock:
            address = self._handle.enter()
        if not address:
            return True
        try:
            got = self._calls.read(address, taken, 1, ctypes.byref(slice_of(float("inf"))))
            err = ctypes.get_errno()
            if got > 0:
                self._keep(taken)
            return got > 0 or err not in (errno.ETIMEDOUT, errno.ECANCELED)
        finally:
            self._handle.leave()

    def _keep(self, taken: Any) -> None:
        """Samples that were taken and not handed out are the next read's."""
        if any(taken):
            with self._handle.lock:
                self._ahead.extendleft((self._pool_of(at), at) for at in reversed(taken) if at)

    def _pool_of(self, at: int) -> Pool:
        # Of a former region, if a node made a fresh one in the middle of a read.
        return self._pool if at in self._pool else next((p for p in self._handle.pools if at in p), self._pool)

    def _break_off(self, failure: BaseException, table: Table, taken: Any) -> None:
        """What happened was the end of the time or of the samples, and there are some; else raise it."""
        self._keep(taken)
        if not len(table) or not isinstance(failure, (EOFError, TimeoutError)):
            raise failure

    def _gather(self, table: Table, pool: Pool, taken: Any, got: int) -> None:
        """Move samples into table."""
        moved = False
        try:
            with self._handle.lock:
                if not self._handle.address:
                    self._fail(errno.EINVAL, True)
                lent = table.append(pool, taken, got)
                moved = True
                if not lent:
                    self._calls.put_many(taken, got)
        except BaseException:
            if not moved:
                self._keep(taken)
            raise

    # Writing.

    def alloc(self, values: Any = (), *, sequence: int = 0, ts_origin: int | datetime | None = None,
              ts_received: int | datetime | None = None, ts_sent: int | datetime | None = None,
              timeout: float | None = 0) -> Sample:
        """Take a free sample and fill it in, to be written: values as floats, and times, which are now unless given.

        ``alloc(sample)`` makes it a copy of a sample of any region. Raises OSError with errno ENOBUFS if none is free and
        none becomes free in time: the other side must read, and this one release.
        """
        taken = _One()
        with self._handle.lock:
            got = self._allocate(taken, 1)
        if not got and not run(self._allocating(taken, deadline_of(timeout))):
            raise self._exhausted()
        sample = Sample(self._pool_of(taken[0]), taken, quiet=True)
        if isinstance(values, Sample):
            sample.copy_from(values)
        else:
            self._fill(sample, sequence, ts_origin, ts_received, ts_sent)
            sample.values = values
        sample._quiet = False
        return sample

    def _fill(self, sample: Sample, sequence: int, *times: int | datetime | None) -> None:
        now = time.time_ns()
        ns = [part for t in times for part in divmod(now if t is None else to_ns(t), 1_000_000_000)]
        start, memory = sample._word << 2, sample._blocks.bytes
        _head.pack_into(memory, start, (sequence + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000, 0)
        _rest.pack_into(memory, start + SOURCE_OFFSET, 0, *ns, 0)

    def write(self, sample: Sample, timeout: float | None = None) -> None:
        """Wait for room in the queue and send the sample, which is the other side's from then on. TimeoutError if there
        is none in time, and the sample is still the caller's. BufferError if a view of its values is alive."""
        at = sample._at
        sample._blocks.check_unviewed(at)
        blocks = sample._give_up(WRITTEN)
        with self._handle.lock:
            if at and self._calls.write_now(self._handle.address, _One(at), 1) == 1:
                return
        sample._take_back(at, blocks)
        if not run(self._handing_over([sample], timeout)):
            raise self._calls.error(errno.ETIMEDOUT, self._name)

    def write_many(self, samples: Iterable[Sample], timeout: float | None = None) -> int:
        """Wait for room for all samples, but no longer than timeout, and send them in order. Returns how many went in:
        the others are still the caller's. TimeoutError if none did."""
        samples = list(samples)
        done = run(self._handing_over(samples, timeout))
        if samples and not done:
            raise self._calls.error(errno.ETIMEDOUT, self._name)
        return done

    def write_array(self, values: Any, *, sequence: int | Any = 0, ts_origin: Times = None, ts_received: Times = None,
                    ts_sent: Times = None, format: int = 0, timeout: float | None = None) -> int:
        """Send the rows of values, each as a sample, and return how many were sent before the time was over.

        values is two-dimensional, or what :meth:`read_array` gave, which is sent as it is. sequence is the number of the
        first sample or an array of all; times are ns since 1970, one for all or an array, and now unless given. Columns
        whose bit is set in format are sent as integers. Waits for free samples and for room. Rows are copied into shared
        memory, as many as there are free samples in one step; those of an array that is shared are handed over as they
        are, and what was not sent in time is left in it. TimeoutError if none was sent.
        """
        if isinstance(values, SampleArray) and values.shared:
            done = run(self._writing_shared(values, deadline_of(timeout)))
            if not done:
                raise self._calls.error(errno.ETIMEDOUT, self._name)
            return done
        rows = Rows(values, self.capacity, sequence, (ts_origin, ts_received, ts_sent), format)
        done = run(self._writing_array(rows, deadline_of(timeout)))
        if len(rows) and not done:
            raise self._calls.error(errno.ETIMEDOUT, self._name)
        return done

    async def write_async(self, sample: Sample, timeout: float | None = None) -> None:
        """:meth:`write` for asyncio. A write that is cancelled leaves the sample with the caller."""
        if not await run_async(self._handing_over([sample], timeout)):
            raise self._calls.error(errno.ETIMEDOUT, self._name)

    def _handing_over(self, samples: Sequence[Sample], timeout: float | None) -> Pausing[int]:
        given: List[Tuple[Sample, int, Blocks]] = []

        def keep(first: int) -> None:
            for sample, at, blocks in given[first:]:
                sample._take_back(at, blocks)

        try:
            for sample in samples:
                sample.sequence  # ValueError if it is gone, as at its second place in samples
                sample._blocks.check_unviewed(sample._at)
                given.append((sample, sample._at, sample._give_up(WRITTEN)))
        except BaseException:
            keep(0)
            raise
        addresses = (ctypes.c_size_t * len(given))(*(at for _, at, _ in given))
        return (yield from self._pushing(addresses, len(given), deadline_of(timeout), keep))

    def _pushing(self, addresses: Any, n: int, deadline: float | None, keep: Callable[[int], None], done: int = 0) -> Pausing[int]:
        """Write the samples from number done to n, waiting for room, and return up to which it got. From there on they are
        kept, by a call of keep, whatever ended the wait."""
        try:
            for pause in _pauses():
                first, done = done, n  # from the call on they count as written, until it says otherwise
                try:
                    with self._handle.lock:
                        done = self._push(addresses, first, n)
                except (OSError, ValueError):
                    done = first
                    raise
                left = left_until(deadline)
                if done == n or left <= 0:
                    break
                yield min(pause, left)
        finally:
            if done < n:
                keep(done)
        return done

    def _push(self, addresses: Any, done: int, n: int) -> int:
        """Write samples from number done to n, without a wait, and return up to which it got. The lock is held."""
        wrote: int = self._calls.write_now(self._handle.address, ctypes.byref(addresses, 8 * done), n - done)
        if wrote < 0:
            self._fail(ctypes.get_errno(), done > 0, reading=False)
        return done + wrote

    def _allocate(self, taken: Any, n: int) -> int:
        """Take up to n free samples. The lock is held."""
        if not self._handle.address:
            self._fail(errno.EINVAL, False)
        got: int = self._calls.alloc(self._pool.address, taken, n)
        return got

    def _allocating(self, taken: Any, deadline: float | None) -> Pausing[int]:
        """Take one free sample, or return 0 when the time is over."""
        for pause in _pauses():
            with self._handle.lock:
                got = self._allocate(taken, 1)
            left = left_until(deadline)
            if got or left <= 0:
                break
            yield min(pause, left)
        return got

    def _writing_array(self, rows: Rows, deadline: float | None) -> Pausing[int]:
        done, n, pauses = 0, len(rows), None
        while done < n:
            taken = _room(min(n - done, self._pool.count))
            got, wrote = self._scatter(rows, done, taken)
            if wrote < got:
                wrote = yield from self._pushing(taken, got, deadline, lambda first: self._pool.put(tuple(taken[first:got])), wrote)
            done += wrote
            if wrote < got:
                break
            if not got:
                left = left_until(deadline)
                if left <= 0:
                    break
                pauses = pauses or _pauses()
                yield min(next(pauses), left)
        return done

    def _scatter(self, rows: Rows, done: int, taken: Any) -> Tuple[int, int]:
        """Fill free samples with rows from number done on and write them, without a wait. Returns how many samples were
        free, and how many of them were written."""
        written = False
        with self._handle.lock:
            got = self._allocate(taken, len(taken))
            if not got:
                return 0, 0
            try:
                rows.scatter(self._pool, taken, done, got)
                written = True  # from here on they count as that, unless the call fails
                return got, self._push(taken, 0, got)
            except BaseException as failure:
                if not written or isinstance(failure, (OSError, ValueError)):
                    self._pool.put(tuple(taken[:got]))
                raise

    def _writing_shared(self, array: SampleArray, deadline: float | None) -> Pausing[int]:
        pool, addresses = array._hand_over()
        taken = (ctypes.c_size_t * len(addresses))(*addresses)
        return (yield from self._pushing(taken, len(addresses), deadline, lambda first: array._take_back(pool, addresses[first:])))

    # Errors.

    def _fail(self, err: int, waited: bool, reading: bool = True) -> NoReturn:
        if self._handle.inherited:
            raise ValueError(inherited(self._name))
        if not self._handle.address:
            if waited:
                raise self._calls.error(errno.ECANCELED, self._name)
            raise ValueError(f"{self._name} is closed")
        failure = self._calls.error(err, self._name)
        if err == errno.EPIPE and reading:
            raise EOFError(f"{failure.strerror}: {self._name}")
        raise failure

    def _exhausted(self) -> OSError:
        return OSError(errno.ENOBUFS, f"all {self._pool.count} samples of the region are in use: release some, or wait for "
                       "the other side to read", self._name)

    # Life.

    def close(self) -> None:
        """Tell the other side that this one ends, and give up the region. Calls that wait in other threads end. BufferError,
        and nothing is closed, while an array or memoryview of some sample's values is alive. A second close does nothing."""
        if not self._handle.inherited:
            self._handle.close()
            self._ahead.clear()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.close()
        except BufferError:
            if exc[0] is None:  # else the traceback may hold the view: close when it is gone
                raise

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.__exit__(*exc)

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and handle.address:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=2, source=self)

    def __iter__(self) -> Iteration:
        """Samples until the other side stops. Each is taken back when the loop goes on, unless it was written: to keep one,
        copy it. A view of its values may be used for one round more; what is kept longer is a BufferError."""
        return Iteration(self)

    def __aiter__(self) -> Iteration:
        """The same for ``async for``."""
        return Iteration(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} {self._name} cannot be pickled: open the region in the other process")

    def __repr__(self) -> str:
        state = "inherited" if self._handle.inherited else "closed" if self.closed else "open"
        return f"<villas_ext.{type(self).__name__} {self._name}, {state}>"


class Iteration:
    """A loop over the samples that a side receives."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._now: Sample | None = None  # in the body of the loop
        self._before: Sample | None = None  # out of it, with a view that lives on

    def __iter__(self) -> Iteration:
        return self

    def __aiter__(self) -> Iteration:
        return self

    def __next__(self) -> Sample:
        self._go_on()
        try:
            self._now = self._side.read()
        except EOFError:
            raise StopIteration from None
        self._now._quiet = True
        return self._now

    async def __anext__(self) -> Sample:
        self._go_on()
        try:
            self._now = await self._side.read_async()
        except EOFError:
            raise StopAsyncIteration from None
        self._now._quiet = True
        return self._now

    def _go_on(self) -> None:
        if self._before is not None:
            self._before.release()
            self._before = None
        if self._now is not None:
            try:
                self._now.release()
            except BufferError:
                self._before = self._now
            self._now = None


def _room(n: int) -> Any:
    if n < 1:
        raise ValueError(f"n must be at least 1, is {n}")
    return (ctypes.c_size_t * n)()


def slice_of(left: float) -> abi.struct_timespec:
    return abi.struct_timespec(0, int(max(0, min(left * 1e9, _SLICE_NS))))
