# SPDX-License-Identifier: Apache-2.0

"""One side of a pair of objects, by which a VILLASnode of today exchanges samples (layout G)."""

from __future__ import annotations

import array
import ctypes
import os
import struct
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterator, List, Sequence, Tuple

from . import abi
from ._held import Held
from ._memory import VALUES_OFFSET, Handle, Pool, numpy
from ._sample import to_datetime, to_ns
from ._side import Calls, Side

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]
    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Complexes = np.ndarray[Any, np.dtype[np.complex64]]

_Head = abi.struct_villas_pair_sample
assert _Head.data.offset == VALUES_OFFSET

# Where the fields are, in bytes. What lies between, but the flags, is the pool's.
_LENGTH, _CAPACITY, _FLAGS, _SIGNALS = _Head.length.offset, _Head.capacity.offset, _Head.flags.offset, _Head.signals.offset
_TIMES = _Head.ts.offset
_VALUE_SIZE = ctypes.sizeof(abi.union_villas_pair_value)

_word, _int, _double, _complex, _times = (struct.Struct(f) for f in ("=q", "=i", "=d", "=2f", "=4q"))
_sequence = struct.Struct("=QI")  # with the length
_NS = 1_000_000_000

HAS_ORIGIN, HAS_RECEIVED = abi.VILLAS_PAIR_HAS_ORIGIN, abi.VILLAS_PAIR_HAS_RECEIVED
HAS_SEQUENCE, HAS_DATA = abi.VILLAS_PAIR_HAS_SEQUENCE, abi.VILLAS_PAIR_HAS_DATA


def _flag(bit: int, doc: str) -> Any:
    def get(self: PairSample) -> bool:
        return bool(self.flags & bit)

    def set(self: PairSample, on: bool) -> None:
        self.flags = self.flags | bit if on else self.flags & ~bit

    return property(get, set, doc=doc)


def _timestamp(offset: int, bit: int, doc: str) -> Any:
    at = offset // 8

    def get(self: PairSample) -> int:
        quads, start = self._blocks.quads, (self._word >> 1) + at
        return quads[start] * _NS + quads[start + 1]

    def set(self: PairSample, ns: int) -> None:
        quads, start = self._blocks.quads, (self._word >> 1) + at
        quads[start], quads[start + 1] = divmod(ns, _NS)
        self.flags |= bit

    return property(get, set, doc=doc)


def _datetime(attribute: str) -> Any:
    def get(self: PairSample) -> datetime:
        return to_datetime(getattr(self, attribute))

    def set(self: PairSample, time: datetime) -> None:
        setattr(self, attribute, to_ns(time))

    return property(get, set, doc=f":attr:`{attribute}` as a datetime in UTC, cut to microseconds.")


class PairSample(Held):
    """A sample of a pair, or a private :meth:`copy` of one: like :class:`Sample`, with values of eight bytes.

    What a value is, double, integer, boolean or complex, only the VILLASnode's configuration says. ``sample[i]`` takes it
    for a double; :meth:`get_int`, :meth:`get_bool` and :meth:`get_complex` for something else. A sample that was read is of
    the other side's pool: it cannot be written, but copied, ``pair.write(pair.alloc(sample))``.
    """

    __slots__ = ()
    _value = abi.union_villas_pair_value

    @property
    def sequence(self) -> int:
        """The number of the sample; counts up by one from sample to sample, in 64 bits. Setting it sets HAS_SEQUENCE."""
        return self._blocks.words[self._word >> 1]

    @sequence.setter
    def sequence(self, number: int) -> None:
        self._blocks.words[self._word >> 1] = number & 0xFFFF_FFFF_FFFF_FFFF
        self.flags |= HAS_SEQUENCE

    @property
    def flags(self) -> int:
        """Bits VILLAS_PAIR_HAS_ORIGIN, ... of :mod:`villas_ext.abi`. A VILLASnode ignores a field without its bit. The other
        attributes set those of theirs."""
        return self._blocks.ints[self._word + _FLAGS // 4]

    @flags.setter
    def flags(self, bits: int) -> None:
        self._blocks.ints[self._word + _FLAGS // 4] = bits

    new_frame: bool = _flag(abi.VILLAS_PAIR_NEW_FRAME, "Whether this is the first sample of a frame.")
    new_simulation: bool = _flag(abi.VILLAS_PAIR_NEW_SIMULATION, "Whether this is the first sample after a simulator's start.")
    ts_origin: int = _timestamp(_TIMES, HAS_ORIGIN, "When the values were measured or computed: ns since 1970.")
    ts_received: int = _timestamp(_TIMES + 16, HAS_RECEIVED, "When a node received them: ns since 1970.")
    origin: datetime = _datetime("ts_origin")
    received: datetime = _datetime("ts_received")

    @property
    def length(self) -> int:
        """How many values there are. May be set, up to the capacity; values that appear by it are not initialised."""
        return min(self._blocks.ints[self._word + _LENGTH // 4] & 0xFFFF_FFFF, self._blocks.capacity)

    @length.setter
    def length(self, n: int) -> None:
        self._check_room(n)
        self._blocks.ints[self._word + _LENGTH // 4] = n
        self.flags = self.flags | HAS_DATA if n else self.flags & ~HAS_DATA

    def __len__(self) -> int:
        return self.length

    @property
    def values(self) -> Floats:
        """The values in place as doubles: a float64 numpy array of :attr:`length` elements, or without numpy a memoryview.

        Writing to it writes the sample. While such a view is alive, the sample cannot be released or written. Assigning a
        sequence of numbers sets the length and makes all of them doubles.
        """
        floats: Floats = self._blocks.view(self._at, self.length, "d")
        return floats

    @values.setter
    def values(self, numbers: Sequence[float] | Floats) -> None:
        n = len(numbers)
        self._check_room(n)
        self._check_held()
        start = (self._word << 2) + VALUES_OFFSET
        self._blocks.bytes[start:start + n * _VALUE_SIZE] = memoryview(array.array("d", numbers)).cast("B")
        self.length = n

    @property
    def integers(self) -> Integers:
        """The same memory as :attr:`values` as integers of 64 bits."""
        integers: Integers = self._blocks.view(self._at, self.length, "q")
        return integers

    @property
    def complexes(self) -> Complexes:
        """The same memory as :attr:`values` as complex64; with numpy only."""
        complexes: Complexes = self._blocks.view(self._at, self.length, "F")
        return complexes

    def _place(self, i: int) -> int:
        length = self.length
        if i < 0:
            i += length
        if not 0 <= i < length:
            raise IndexError(f"the sample has {length} values")
        return (self._word << 2) + VALUES_OFFSET + i * _VALUE_SIZE

    def __getitem__(self, i: int) -> float:
        value: float = _double.unpack_from(self._blocks.bytes, self._place(i))[0]
        return value

    def __setitem__(self, i: int, value: float) -> None:
        _double.pack_into(self._blocks.bytes, self._place(i), value)

    def __iter__(self) -> Iterator[float]:
        for i in range(self.length):
            yield self[i]

    def get_int(self, i: int) -> int:
        """Value i, an integer."""
        value: int = _word.unpack_from(self._blocks.bytes, self._place(i))[0]
        return value

    def set_int(self, i: int, value: int) -> None:
        """Make value i an integer, of 64 bits."""
        _word.pack_into(self._blocks.bytes, self._place(i), value)

    def get_bool(self, i: int) -> bool:
        """Value i, a boolean."""
        return bool(self._blocks.bytes[self._place(i)])

    def set_bool(self, i: int, value: bool) -> None:
        """Make value i a boolean."""
        self.set_int(i, bool(value))

    def get_complex(self, i: int) -> complex:
        """Value i, a complex number."""
        return complex(*_complex.unpack_from(self._blocks.bytes, self._place(i)))

    def set_complex(self, i: int, value: complex) -> None:
        """Make value i a complex number, of two floats."""
        _complex.pack_into(self._blocks.bytes, self._place(i), value.real, value.imag)

    def _check_room(self, n: int) -> None:
        if not 0 <= n <= self.capacity:
            self._check_held()
            raise ValueError(f"{n} values do not fit: a sample of this pair has room for {self.capacity}")

    def _content(self) -> bytes:
        start = self._word << 2
        content = bytes(self._blocks.bytes[start:start + VALUES_OFFSET + self.length * _VALUE_SIZE])
        return content[:_CAPACITY] + bytes(4) + content[_FLAGS:_SIGNALS] + bytes(_TIMES - _SIGNALS) + content[_TIMES:]

    def copy_from(self, other: PairSample) -> None:
        """Take sequence number, flags, timestamps and values from other. ValueError if they do not fit."""
        content = other._content()
        self._check_room((len(content) - VALUES_OFFSET) // _VALUE_SIZE)
        _put(self._blocks.bytes, self._word << 2, content)

    def __repr__(self) -> str:
        if self.released:
            return "<PairSample, released>"
        return f"<PairSample {self.sequence}: {list(self)}>"


def _put(memory: Any, start: int, content: bytes) -> None:
    """Make the block at start of memory that of content, but for what is the pool's."""
    for first, end in (0, _CAPACITY), (_FLAGS, _FLAGS + 4), (_TIMES, len(content)):
        memory[start + first:start + end] = content[first:end]


class PairArray:
    """The contents of samples of a pair in private memory, a row a sample. len() is the number of rows.

    Columns are numpy arrays, and strided memoryviews without numpy; values have two dimensions, without numpy they are lists
    of rows. What is missing where a sample has fewer values than another is NaN.
    """

    shared = False  #: Whether the arrays are views of shared memory: they never are.

    def __init__(self, records: bytearray, n: int) -> None:
        self._records, self._n, self._stride = records, n, len(records) // max(n, 1)
        capacity = (self._stride - VALUES_OFFSET) // _VALUE_SIZE
        self._lengths = [min(length, capacity) for length in self.length]
        self._columns = max(self._lengths, default=0)
        if min(self._lengths, default=0) < self._columns:
            missing = _double.pack(float("nan"))
            for i, length in enumerate(self._lengths):
                start = i * self._stride + VALUES_OFFSET
                records[start + length * _VALUE_SIZE:start + self._columns * _VALUE_SIZE] = missing * (self._columns - length)

    def __len__(self) -> int:
        return self._n

    def release(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> PairArray:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def _column(self, code: str, offset: int) -> Any:
        if numpy is not None:
            return numpy.ndarray((self._n,), code, self._records, offset, (self._stride,))
        size = struct.calcsize(code)
        view: Any = memoryview(self._records).cast(code)
        return view[offset // size::self._stride // size]

    def _values(self, code: str) -> Any:
        if numpy is not None:
            shape = self._n, self._columns
            return numpy.ndarray(shape, code, self._records, VALUES_OFFSET, (self._stride, _VALUE_SIZE))
        view: Any = memoryview(self._records).cast(code)
        starts = [(i * self._stride + VALUES_OFFSET) // _VALUE_SIZE for i in range(self._n)]
        return [view[start:start + self._columns] for start in starts]

    @property
    def values(self) -> Any:
        """All values as doubles, (samples, values) of float64."""
        return self._values("d")

    @property
    def integers(self) -> Any:
        """The same memory as integers of 64 bits."""
        return self._values("q")

    @property
    def complexes(self) -> Any:
        """The same memory as complex64; with numpy only."""
        return self._values("F")

    @property
    def sequence(self) -> Any:
        """Sequence numbers, 64 bits."""
        return self._column("Q", 0)

    @property
    def length(self) -> Any:
        """How many values each sample has."""
        return self._column("I", _LENGTH)

    @property
    def flags(self) -> Any:
        """Flags of each sample."""
        return self._column("i", _FLAGS)

    def _times(self, offset: int) -> Any:
        seconds, rest = self._column("q", offset), self._column("q", offset + 8)
        return seconds * _NS + rest if numpy is not None else array.array("q", (s * _NS + ns for s, ns in zip(seconds, rest)))

    @property
    def ts_origin(self) -> Any:
        """When the values were measured: ns since 1970, computed at each access."""
        return self._times(_TIMES)

    @property
    def ts_received(self) -> Any:
        """When a node received them, likewise."""
        return self._times(_TIMES + 16)

    def __repr__(self) -> str:
        return f"<PairArray: {self._n} samples>"


class _Table:
    """Collects samples, always as a copy."""

    def __init__(self, copy: bool, minimum: int) -> None:
        self._records = bytearray()
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, pool: Pool, addresses: Any, n: int) -> bool:
        """Add n samples; whether they stay in use."""
        memory, stride, first = pool.bytes, pool.stride, pool.first
        self._records += b"".join([memory[at - first:at - first + stride] for at in addresses[:n]])
        self._n += n
        return False

    def finish(self) -> PairArray:
        return PairArray(self._records, self._n)


class _Rows:
    """What is to be written into samples, each as a block has it."""

    def __init__(self, values: Any, capacity: int, sequence: Any, ts_origin: Any, ts_received: Any) -> None:
        self._contents: List[bytes] = []
        if isinstance(values, PairArray):
            for i, length in enumerate(values._lengths):
                start = i * values._stride
                self._add(capacity, bytes(values._records[start:start + VALUES_OFFSET + length * _VALUE_SIZE]))
            return
        flags = HAS_SEQUENCE | HAS_ORIGIN | (0 if ts_received is None else HAS_RECEIVED)
        now = time.time_ns()
        origins, receipts = _each(now if ts_origin is None else ts_origin), _each(0 if ts_received is None else ts_received)
        numbers = (sequence + i for i in range(len(values))) if isinstance(sequence, int) else iter(sequence)
        for row in _rows_of(values):
            n = len(row) // _VALUE_SIZE
            head = _sequence.pack(int(next(numbers)) & 0xFFFF_FFFF_FFFF_FFFF, n) + bytes(4) + _int.pack(flags | (HAS_DATA if n else 0))
            times = _times.pack(*divmod(int(next(origins)), _NS), *divmod(int(next(receipts)), _NS))
            self._add(capacity, head.ljust(_TIMES, b"\0") + times + row)

    def _add(self, capacity: int, content: bytes) -> None:
        n = (len(content) - VALUES_OFFSET) // _VALUE_SIZE
        if n > capacity:
            raise ValueError(f"{n} values do not fit: a sample of this pair has room for {capacity}")
        self._contents.append(content)

    def __len__(self) -> int:
        return len(self._contents)

    def scatter(self, pool: Pool, addresses: Any, first: int, n: int) -> None:
        """Fill n blocks of pool with the rows from first on."""
        for at, content in zip(addresses[:n], self._contents[first:first + n]):
            _put(pool.bytes, at - pool.first, content)


def _each(times: Any) -> Iterator[int]:
    """A time for each sample, of one for all or of a sequence."""
    if not isinstance(times, int):
        yield from times
    while True:
        yield times


def _rows_of(values: Any) -> Iterator[bytes]:
    """The values of each sample as bytes. Those of a numpy array are what its dtype says: integers, booleans and complex
    numbers, too; all others are doubles."""
    if numpy is not None and isinstance(values, numpy.ndarray):
        if values.ndim != 2:
            raise ValueError(f"values must have two dimensions (samples, values), have {values.ndim}")
        dtype = {"i": "q", "u": "q", "b": "q", "c": "F"}.get(values.dtype.kind, "d")
        for row in values.astype(dtype):
            yield row.tobytes()
        return
    for row in values:
        yield array.array("d", row).tobytes()


class Pair(Side[PairSample]):
    """One side of a pair: see :func:`open_pair`. It reads, writes, iterates and closes as a side of a region does."""

    _Sample = PairSample
    _Table: Any = _Table

    def __init__(self, own: str, other: str, calls: Calls, handle: Handle) -> None:
        super().__init__(f"{own},{other}", calls, handle)
        blocks = abi.struct_shmem_blocks(), abi.struct_shmem_blocks()
        locate = calls.leaf("villas_pair_blocks", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        locate(handle.address, *map(ctypes.addressof, blocks))
        self._ours = calls.leaf("villas_pair_ours", ctypes.c_void_p)(handle.address) == 1
        kind = abi.union_villas_pair_value
        self._pool, self._source = (Pool(handle, handle.address, b, calls.put_many, kind) for b in blocks)

    @property
    def capacity(self) -> int:
        """How many values a sample that this side writes has room for: its samplelen, or some more."""
        return self._pool.capacity

    @property
    def legacy(self) -> bool:
        """Whether the other side is not one of ours: a VILLASnode."""
        return not self._ours

    def alloc(self, values: Any = (), *, sequence: int = 0, ts_origin: int | datetime | None = None,
              ts_received: int | datetime | None = None, timeout: float | None = 0) -> PairSample:
        """Take a free sample and fill it in, to be written: values as doubles, the time of origin, which is now unless
        given, and that of receipt if it is given.

        ``alloc(sample)`` makes it a copy of a sample of any pair. Raises OSError with errno ENOBUFS if none is free and
        none becomes free in time: the other side must read.
        """
        sample = self._take_free(timeout)
        if isinstance(values, PairSample):
            sample.copy_from(values)
        else:
            start, memory = sample._word << 2, sample._blocks.bytes
            origin = time.time_ns() if ts_origin is None else to_ns(ts_origin)
            received = 0 if ts_received is None else to_ns(ts_received)
            _sequence.pack_into(memory, start, sequence & 0xFFFF_FFFF_FFFF_FFFF, 0)
            _times.pack_into(memory, start + _TIMES, *divmod(origin, _NS), *divmod(received, _NS))
            sample.flags = HAS_SEQUENCE | HAS_ORIGIN | (0 if ts_received is None else HAS_RECEIVED)
            sample.values = values
        sample._quiet = False
        return sample

    def read_array(self, n: int, *, minimum: int = 1, copy: bool = True,  # type: ignore[override]
                   timeout: float | None = None) -> PairArray:
        """Take up to n samples and give their contents as arrays, a row a sample; they go back at once.

        Waits until there are minimum of them. There may be fewer, but not none, once the time is over or the other side
        has stopped."""
        array: Any = super().read_array(n, minimum=minimum, timeout=timeout)
        return array  # type: ignore[no-any-return]

    async def read_array_async(self, n: int, *, minimum: int = 1, copy: bool = True,  # type: ignore[override]
                               timeout: float | None = None) -> PairArray:
        """:meth:`read_array` for asyncio."""
        array: Any = await super().read_array_async(n, minimum=minimum, timeout=timeout)
        return array  # type: ignore[no-any-return]

    def write_array(self, values: Any, *, sequence: int | Any = 0, ts_origin: Any = None, ts_received: Any = None,
                    timeout: float | None = None) -> int:
        """Send the rows of values, each as a sample, and return how many were sent before the time was over.

        values is two-dimensional, or what :meth:`read_array` gave, which is sent as it is. The dtype of a numpy array says
        what the values are: integers, booleans or complex numbers; else they are doubles. sequence is the number of the
        first sample or those of all; times are ns since 1970, one for all or one for each. Waits for free samples and for
        room. TimeoutError if none was sent.
        """
        rows: Any = _Rows(values, self.capacity, sequence, ts_origin, ts_received)
        return self._write_rows(rows, timeout)


def open_pair(own: str | os.PathLike[str], other: str | os.PathLike[str], timeout: float | None = None, *, queuelen: int = 512,
              samplelen: int = 64, polling: bool = False, mode: int = 0o600, group: int | None = None, spin: int = -1,
              legacy: bool = True, lock_memory: bool = False) -> Pair:
    """Create the object own, which this side writes, and wait for the other side, which writes other: a VILLASnode of today
    whose ``in.name`` is own and whose ``out.name`` is other, or one of ours. Ctrl-C ends the wait.

    queuelen and samplelen are those of own; with polling its reader polls. Without legacy another side that is not one of
    ours, and has to be trusted in mode pthread, is refused. The rest is as for :class:`villas_ext.Node`.

    Raises TimeoutError (the other side did not come: start it, or start it again), FileExistsError (a living program writes
    own), PermissionError, or OSError with errno EPROTO (other is no object of a pair), EBADMSG (a damaged one),
    EPROTONOSUPPORT, EINVAL or ENAMETOOLONG (a name or a length), ENOSPC, ENOMEM, EMFILE.
    """
    calls = Calls("villas_pair", "villas_pair", "villas_pair")
    names = os.fspath(own), os.fspath(other)
    open_ = calls.waiting("villas_pair_open", ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, result=ctypes.c_void_p)
    close = calls.waiting("villas_pair_close", ctypes.c_void_p)
    options, stop = abi.VILLAS_PAIR_OPTIONS_INIT(), ctypes.c_int(0)
    options.queuelen, options.samplelen, options.polling, options.spin, options.mode = queuelen, samplelen, polling, spin, mode
    options.flags = (0 if legacy else abi.VILLAS_PAIR_NO_LEGACY) | (abi.VILLAS_PAIR_LOCK_MEMORY if lock_memory else 0)
    options.group = 0xFFFF_FFFF if group is None else group
    options.stop = ctypes.pointer(stop)
    if timeout is not None:
        options.timeout = ctypes.pointer(abi.struct_timespec(*divmod(int(max(timeout, 0) * 1e9), _NS)))
    result: List[Tuple[int, int]] = []
    done = threading.Event()  # an interrupted join() of a thread is not to be trusted

    # On a thread of its own: a handshake cannot be interrupted and gone on with, and Python's signal handlers do not run
    # while the main thread is in C.
    def meet() -> None:
        address = open_(*map(os.fsencode, names), ctypes.addressof(options))
        result.append((address or 0, ctypes.get_errno()))
        done.set()

    try:
        threading.Thread(target=meet, name="villas_ext open_pair", daemon=True).start()
        while not done.wait(0.05):
            pass
    except BaseException:
        stop.value = 1
        done.wait()
        if result[0][0]:
            close(result[0][0])
        raise
    address, err = result[0]
    if not address:
        raise calls.error(err, ",".join(names))
    return Pair(*names, calls, Handle(",".join(names), address, close))
