# SPDX-License-Identifier: Apache-2.0

"""What all sides do alike, whatever their samples look like: read, write, iterate, close."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import time
import warnings
from collections import deque
from typing import Any, Callable, Deque, Generator, Generic, Iterable, List, NoReturn, Sequence, Tuple, Type, TypeVar

from . import _library, abi
from ._arrays import Rows, SampleArray, Table
from ._held import RELEASED, WRITTEN, Held
from ._memory import Blocks, Handle, Pool, inherited
from ._watch import Watch

_Self = TypeVar("_Self", bound="Side[Any]")
_S = TypeVar("_S", bound=Held)
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

class Calls:
    """The C functions of one kind of side, by the beginnings of their names, with addresses as plain numbers.

    Those that never wait keep the GIL: giving it up costs as much as the call, and up to milliseconds while another
    thread computes. Those that may wait (and a close, and an accept) release it.
    """

    def __init__(self, side: str, samples: str = "sample", errors: str = "shmem_shared") -> None:
        library = _library.load()
        self._waiting = library
        self._leaves = ctypes.PyDLL(library._name, handle=library._handle, use_errno=True)
        pointer, count = ctypes.c_void_p, ctypes.c_uint
        self.read_now = self.leaf(f"{side}_read_timeout", pointer, pointer, count, pointer)
        self.write_now = self.leaf(f"{side}_write", pointer, pointer, count)
        self.alloc = self.leaf(f"{samples}_alloc", pointer, pointer, ctypes.c_int)
        self.put_many = self.leaf(f"{samples}_put_many", pointer, ctypes.c_int)
        self.read = self.waiting(f"{side}_read_timeout", pointer, pointer, count, pointer)
        self._strerror = library[f"{errors}_strerror"]
        self._strerror.restype = ctypes.c_char_p

    def leaf(self, name: str, *arguments: Any) -> Any:
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


class Side(Generic[_S]):
    """One side of an exchange of samples.

    Any number of threads may use it at once. ``timeout`` is in seconds: None waits for ever, 0 does not wait. Calls that
    wait release the GIL, and signal handlers run meanwhile: Ctrl-C ends a wait within 50 ms, and loses no sample.

    Raises TimeoutError when the time is over; EOFError from a read once the other side has stopped and all it sent is
    read; BrokenPipeError from a write to a side that has stopped; OSError with errno EOWNERDEAD when the other side died,
    ECANCELED when another thread closed this one meanwhile; ValueError after the close.
    """

    _Sample: Type[_S]
    _Table: Type[Table] = Table  # what collects many samples
    _pool: Pool  # that this side allocates from
    _source: Pool  # of the samples that it receives now

    def __init__(self, name: str, calls: Calls, handle: Handle) -> None:
        self._name = name
        self._calls = calls
        self._handle = handle
        self._ahead: Deque[Tuple[Pool, int]] = deque()  # taken, and not yet handed out: the next read's
        self._watch = Watch(self)
        self._without_pause = 0

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

    def read(self, timeout: float | None = None) -> _S:
        """Wait for the next sample and take it. It is the caller's until it is released or written."""
        taken = _One()
        try:
            pool, _ = self._pull(taken, 1, deadline_of(timeout))
            return self._Sample(pool, taken)
        except BaseException:
            self._keep(taken)
            raise

    def read_many(self, n: int, timeout: float | None = None) -> List[_S]:
        """Wait for a sample, and take up to n of those that are there."""
        taken, samples = _room(n), []
        try:
            pool, got = self._pull(taken, n, deadline_of(timeout))
            for i in range(got):
                samples.append(self._Sample(pool, taken, i))
            return samples
        except BaseException:
            for i, sample in enumerate(samples):
                taken[i] = sample._at
                sample._give_up(RELEASED)
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
        table, deadline = self._Table(copy, minimum), deadline_of(timeout)
        while len(table) < max(1, min(n, minimum)):
            taken = _room(n - len(table))
            try:
                pool, got = self._pull(taken, len(taken), deadline)
            except BaseException as failure:
                self._break_off(failure, table, taken)
                break
            self._gather(table, pool, taken, got)
        return table.finish()

    async def read_async(self, timeout: float | None = None) -> _S:
        """:meth:`read` for asyncio. Cancelling it loses no sample: the next read gets it."""
        taken = _One()
        try:
            pool, _ = await self._pull_async(taken, 1, deadline_of(timeout))
            return self._Sample(pool, taken)
        except BaseException:
            self._keep(taken)
            raise

    async def read_array_async(self, n: int, *, minimum: int = 1, copy: bool = True,
                               timeout: float | None = None) -> SampleArray:
        """:meth:`read_array` for asyncio."""
        table, deadline = self._Table(copy, minimum), deadline_of(timeout)
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
            return self._source, 0
        got = self._calls.read_now(self._handle.address, taken, n, NOW)
        if got < 0:
            err = ctypes.get_errno()
            if err != errno.ETIMEDOUT:
                self._fail(err, waited)
            got = 0
        return self._source, got

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
        return self._source if at in self._source else next((p for p in self._handle.pools if at in p), self._source)

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

    def write(self, sample: _S, timeout: float | None = None) -> None:
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

    def write_many(self, samples: Iterable[_S], timeout: float | None = None) -> int:
        """Wait for room for all samples, but no longer than timeout, and send them in order. Returns how many went in:
        the others are still the caller's. TimeoutError if none did."""
        samples = list(samples)
        return self._send(self._handing_over(samples, timeout), len(samples) > 0)

    async def write_async(self, sample: _S, timeout: float | None = None) -> None:
        """:meth:`write` for asyncio. A write that is cancelled leaves the sample with the caller."""
        if not await run_async(self._handing_over([sample], timeout)):
            raise self._calls.error(errno.ETIMEDOUT, self._name)

    def _send(self, steps: Pausing[int], some: bool) -> int:
        """Write, and return how many went in; TimeoutError if there were some and none did."""
        done = run(steps)
        if some and not done:
            raise self._calls.error(errno.ETIMEDOUT, self._name)
        return done

    def _handing_over(self, samples: Sequence[_S], timeout: float | None) -> Pausing[int]:
        given: List[Tuple[_S, int, Blocks]] = []

        def keep(first: int) -> None:
            for sample, at, blocks in given[first:]:
                sample._take_back(at, blocks)

        try:
            for sample in samples:
                sample._check_held()  # at its second place in samples it is not
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
        wrote: int = self._calls.write_now(self._handle.address, ctypes.byref(addresses, 8 * done) if done else addresses, n - done)
        if wrote < 0:
            self._fail(ctypes.get_errno(), done > 0, reading=False)
        return done + wrote

    def _take_free(self, timeout: float | None) -> _S:
        """A free sample, to be filled in before anybody may forget it."""
        taken = _One()
        with self._handle.lock:
            got = self._allocate(taken, 1)
        if not got and not run(self._allocating(taken, deadline_of(timeout))):
            raise self._exhausted()
        return self._Sample(self._pool_of(taken[0]), taken, quiet=True)

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

    def _write_rows(self, rows: Rows, timeout: float | None) -> int:
        n = len(rows)
        if not n:
            return 0
        taken = _room(min(n, self._pool.count))
        got, wrote = self._scatter(rows, 0, taken)
        if wrote == n:  # nothing to wait for
            return wrote
        return self._send(self._writing_rows(rows, taken, got, wrote, deadline_of(timeout)), True)

    def _writing_rows(self, rows: Rows, taken: Any, got: int, wrote: int, deadline: float | None) -> Pausing[int]:
        """Go on where the first rows were filled into samples, and some of them written."""
        done, n, pauses = 0, len(rows), None
        while True:
            if wrote < got:
                wrote = yield from self._pushing(taken, got, deadline, lambda first: self._pool.put(tuple(taken[first:got])), wrote)
            done += wrote
            if wrote < got or done == n:
                return done
            if not got:
                left = left_until(deadline)
                if left <= 0:
                    return done
                pauses = pauses or _pauses()
                yield min(next(pauses), left)
            taken = _room(min(n - done, self._pool.count))
            got, wrote = self._scatter(rows, done, taken)

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

    def __iter__(self) -> Iteration[_S]:
        """Samples until the other side stops. Each is taken back when the loop goes on, unless it was written: to keep one,
        copy it. A view of its values may be used for one round more; what is kept longer is a BufferError."""
        return Iteration(self)

    def __aiter__(self) -> Iteration[_S]:
        """The same for ``async for``."""
        return Iteration(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} {self._name} cannot be pickled: open the region in the other process")

    def __repr__(self) -> str:
        state = "inherited" if self._handle.inherited else "closed" if self.closed else "open"
        return f"<villas_ext.{type(self).__name__} {self._name}, {state}>"


class Iteration(Generic[_S]):
    """A loop over the samples that a side receives."""

    def __init__(self, side: Side[_S]) -> None:
        self._side = side
        self._now: _S | None = None  # in the body of the loop
        self._before: _S | None = None  # out of it, with a view that lives on

    def __iter__(self) -> Iteration[_S]:
        return self

    def __aiter__(self) -> Iteration[_S]:
        return self

    def __next__(self) -> _S:
        self._go_on()
        try:
            self._now = self._side.read()
        except EOFError:
            raise StopIteration from None
        self._now._quiet = True
        return self._now

    async def __anext__(self) -> _S:
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
