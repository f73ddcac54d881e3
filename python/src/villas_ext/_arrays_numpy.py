# SPDX-License-Identifier: Apache-2.0

"""Many samples at once, as numpy arrays.

The blocks of a pool lie at a constant stride, so a pool is an array with one opaque element a block. Blocks go round in
the order in which they are given back, and mostly follow each other: then they are a slice of it, else an index.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple, Union

import numpy

from ._memory import (
    FORMAT, LENGTH, ORIGIN, RECEIVED, SENT, SEQUENCE, SOURCE_OFFSET, VALUE_SIZE, VALUES_OFFSET, VIEWED, Lease, Pool,
)

if TYPE_CHECKING:  # numpy knows these since 1.22
    _Floats = numpy.ndarray[Any, numpy.dtype[numpy.float32]]
    _Integers = numpy.ndarray[Any, numpy.dtype[numpy.int32]]
    _Bits = numpy.ndarray[Any, numpy.dtype[numpy.uint64]]
    _Times = numpy.ndarray[Any, numpy.dtype[numpy.int64]]
    Times = Union[int, _Times, Sequence[int], None]  # ns since 1970: one for all samples, one for each, or now

_NS = 1_000_000_000
_rest = struct.Struct("=8q")  # source, times, format: before them stand references and pool
_Rest = numpy.dtype((numpy.void, _rest.size))
assert SOURCE_OFFSET + _rest.size == VALUES_OFFSET


class _PoolArrays:
    """A pool as arrays over its memory; the first index is the block."""

    def __init__(self, pool: Pool) -> None:
        self._first, self._stride = pool.first, pool.stride
        self._memory = memory = numpy.frombuffer(pool.memory, numpy.uint8)
        self._addresses = (numpy.arange(pool.count) * pool.stride + pool.first).tobytes()
        self.blocks = memory.view(f"V{pool.stride}")
        self.heads = self.part(numpy.int64, 0)  # sequence number and length
        self.lengths = self.part(numpy.int32, 4 * LENGTH)
        self.rests = self.part(_Rest, SOURCE_OFFSET)
        self._values: Dict[int, Any] = {}

    def part(self, kind: Any, offset: int) -> Any:
        """What lies offset bytes behind the start of each block."""
        return numpy.ndarray((len(self.blocks),), kind, self._memory, offset, (self._stride,))

    def values(self, columns: int) -> Any:
        """The first values of each block."""
        values = self._values.get(columns)
        if values is None:
            values = self._values[columns] = numpy.ndarray(
                (len(self.blocks), columns), numpy.float32, self._memory, VALUES_OFFSET, (self._stride, 4))
        return values

    def where(self, addresses: Any, n: int) -> Any:
        """The index of n blocks: a slice if they follow each other."""
        first = (addresses[0] - self._first) // self._stride
        raw = bytes(addresses)
        if self._addresses.startswith(raw if len(raw) == 8 * n else raw[:8 * n], 8 * first):
            return slice(first, first + n)
        index = numpy.frombuffer(addresses, numpy.int64, n) - self._first
        index //= self._stride
        return index


def _arrays(pool: Pool) -> _PoolArrays:
    arrays: _PoolArrays | None = pool.arrays
    if arrays is None:
        arrays = pool.arrays = _PoolArrays(pool)
    return arrays


class Table:
    """Collects samples. Without copy the blocks are lent to it, if the first minimum of them can be viewed together."""

    def __init__(self, copy: bool, minimum: int) -> None:
        self._copy, self._minimum = copy, minimum
        self._parts: List[Any] = []
        self._done = 0
        self._lease: Lease | None = None

    def __len__(self) -> int:
        return self._done

    def append(self, pool: Pool, addresses: Any, n: int) -> bool:
        """Add n samples; whether they stay in use."""
        arrays = _arrays(pool)
        where = arrays.where(addresses, n)
        self._done += n
        if not isinstance(where, slice):
            self._parts.append(arrays.blocks.take(where))
        elif self._copy or self._parts or n < self._minimum or not _alike(arrays.lengths[where], pool.capacity):
            self._parts.append(arrays.blocks[where].copy())
        else:
            memory, self._lease = pool.lend(tuple(addresses[:n]))
            self._parts.append(numpy.ndarray((n,), arrays.blocks.dtype, memory))
        return self._lease is not None

    def finish(self) -> SampleArray:
        records = self._parts[0] if len(self._parts) == 1 else numpy.concatenate(self._parts)
        return SampleArray(records, self._lease)


def _alike(lengths: Any, capacity: int) -> bool:
    """Whether all samples have the same number of values."""
    raw: bytes = lengths.tobytes()
    return raw == raw[:4] * len(lengths) and 0 <= lengths.item(0) <= capacity


def _divided(ns: Any) -> Any:
    """Seconds, and nanoseconds within the second."""
    return divmod(ns, _NS) if isinstance(ns, int) else numpy.divmod(numpy.asarray(ns, numpy.int64), _NS)


class _Released:
    """Takes the place of records that went back."""

    def __len__(self) -> int:
        raise ValueError("the samples were released or written")


class SampleArray:
    """The contents of samples, a row a sample. len() is the number of rows.

    Mostly in private memory, to be kept as long as one likes. If it is :attr:`shared`, it is the samples: what is written
    to its arrays is written to them, they go back when the last array is gone or by :meth:`release` or the end of a
    ``with`` block, and ``write_array`` hands them over without a copy.
    """

    def __init__(self, records: Any, lease: Lease | None = None) -> None:
        self._records = records  # whole blocks
        self._lease = lease
        self._stride: int = records.itemsize
        self._dtype = records.dtype
        self._columns = -1

    def __len__(self) -> int:
        return len(self._records)

    @property
    def shared(self) -> bool:
        """Whether the arrays are views of shared memory."""
        return self._lease is not None

    def release(self) -> None:
        """Give shared samples back; nothing to do for others. BufferError if another array over them is alive."""
        if self._lease is not None and not isinstance(self._records, _Released):
            self._let_go(self._lease)

    def _let_go(self, lease: Lease) -> None:
        self._records = _Released()
        memory = lease()
        if memory is not None:
            self._records = numpy.ndarray((len(lease.addresses),), self._dtype, memory)
            raise BufferError(VIEWED)

    def _hand_over(self) -> Tuple[Pool, Tuple[int, ...]]:
        """The blocks of shared samples are the caller's now."""
        lease = self._lease
        assert lease is not None
        len(self)  # ValueError if they went back
        lease.orphaned = False
        try:
            self._let_go(lease)
        except BufferError:
            lease.orphaned = True
            raise
        return lease.pool, lease.addresses

    def _take_back(self, pool: Pool, addresses: Tuple[int, ...]) -> None:
        if addresses:
            memory, self._lease = pool.lend(addresses)
            self._records = numpy.ndarray((len(addresses),), self._dtype, memory)

    def __enter__(self) -> SampleArray:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.release()
        except BufferError:
            if exc[0] is None:  # else the traceback may hold an array
                raise

    def _column(self, code: str, offset: int) -> Any:
        return numpy.ndarray((len(self._records),), code, self._records, offset, (self._stride,))

    def _values(self, code: str) -> Any:
        return numpy.ndarray((len(self._records), self._width()), code, self._records, VALUES_OFFSET, (self._stride, 4))

    def _width(self) -> int:
        """The number of columns: the most values that a sample has. Where others have fewer, there is NaN."""
        if self._columns < 0:
            lengths, capacity = self.length, (self._stride - VALUES_OFFSET) // VALUE_SIZE
            self._columns = lengths.item(0)
            if not _alike(lengths, capacity):
                lengths = lengths.clip(0, capacity)
                self._columns = int(lengths.max())
                self._values("f4")[numpy.arange(self._columns) >= lengths[:, None]] = numpy.nan
        return self._columns

    @property
    def values(self) -> _Floats:
        """All values, (samples, values) of float32. Those marked as integers show as the floats of the same bits, see
        :attr:`integers` and :meth:`as_float64`. A sample with fewer values than others is filled up with NaN."""
        values: _Floats = self._values("f4")
        return values

    @property
    def integers(self) -> _Integers:
        """The same memory as :attr:`values` as int32."""
        integers: _Integers = self._values("i4")
        return integers

    def as_float64(self) -> numpy.ndarray[Any, numpy.dtype[numpy.float64]]:
        """A copy of all values as numbers, each as it is marked; float64 holds them exactly."""
        numbers = self.values.astype(numpy.float64)
        marked = self.format
        if marked.any():
            columns = numpy.arange(min(numbers.shape[1], 64), dtype=numpy.uint64)
            integer = (marked[:, None] >> columns & numpy.uint64(1)).astype(bool) & (columns < self.length[:, None])
            numbers[:, :len(columns)][integer] = self.integers[:, :len(columns)][integer]
        return numbers

    @property
    def sequence(self) -> _Integers:
        """Sequence numbers."""
        sequence: _Integers = self._column("i4", 4 * SEQUENCE)
        return sequence

    @property
    def length(self) -> _Integers:
        """How many values each sample has."""
        length: _Integers = self._column("i4", 4 * LENGTH)
        return length

    @property
    def format(self) -> _Bits:
        """Bit i is set if value i of the sample is an integer."""
        format: _Bits = self._column("u8", 8 * FORMAT)
        return format

    def _times(self, word: int) -> _Times:
        times: _Times = self._column("i8", 8 * word) * _NS + self._column("i8", 8 * word + 8)
        return times

    @property
    def ts_origin(self) -> _Times:
        """When the values were measured: ns since 1970, computed at each access. As dates: ``.view("M8[ns]")``."""
        return self._times(ORIGIN)

    @property
    def ts_received(self) -> _Times:
        """When the node received them, likewise."""
        return self._times(RECEIVED)

    @property
    def ts_sent(self) -> _Times:
        """When they were sent on, likewise."""
        return self._times(SENT)

    def __repr__(self) -> str:
        return f"<SampleArray: {len(self)} samples>"


class Rows:
    """What is to be written into samples."""

    def __init__(self, values: Any, capacity: int, sequence: Any, times: Tuple[Times, ...], format: int) -> None:
        self._raw = values if isinstance(values, SampleArray) else None
        if self._raw is not None:
            self._n, self._columns = len(self._raw), self._raw._width()
        else:
            values = numpy.asarray(values)
            if values.shape == (0,):  # an empty list has no columns
                values = values.reshape(0, 0)
            if values.ndim != 2:
                raise ValueError(f"values must have two dimensions (samples, values), have {values.ndim}")
            self._values = values
            self._n, self._columns = values.shape
        if self._columns > capacity:
            raise ValueError(f"{self._columns} values do not fit: a sample of this region has room for {capacity}")
        if self._raw is not None:
            # From the source field on, with the last value's whole word.
            size = _rest.size + (self._columns + 1) // 2 * 8
            self._heads = self._raw._column("i8", 0)
            self._rests = self._raw._column(f"V{size}", SOURCE_OFFSET)
            return
        self._sequence = sequence
        self._integers = [i for i in range(min(self._columns, 64)) if format >> i & 1] if format else []
        now = divmod(time.time_ns(), _NS)
        origin, received, sent = times
        parts: Any = (now, now, now) if origin is received is sent is None else [
            now if ns is None else _divided(ns) for ns in times]
        rest = 0, *parts[0], *parts[1], *parts[2], format - (format >> 63 << 64)
        try:
            self._rest = numpy.frombuffer(_rest.pack(*rest), _Rest)
        except (struct.error, TypeError):  # times in arrays
            self._rest = numpy.stack(numpy.broadcast_arrays(*rest), axis=1).view(_Rest)[:, 0]

    def __len__(self) -> int:
        return self._n

    def scatter(self, pool: Pool, addresses: Any, first: int, n: int) -> None:
        """Fill n blocks of pool with the rows from first on."""
        arrays, rows = _arrays(pool), slice(first, first + n)
        where = arrays.where(addresses, n)
        if self._raw is not None:
            arrays.heads[where] = self._heads[rows]
            arrays.part(self._rests.dtype, SOURCE_OFFSET)[where] = self._rests[rows]
            return
        arrays.rests[where] = self._rest if len(self._rest) == 1 else self._rest[rows]
        values = arrays.values(self._columns)
        values[where] = self._values if n == self._n else self._values[rows]
        for i in self._integers:
            values.view(numpy.int32)[where, i] = self._values[rows, i]
        if isinstance(self._sequence, int):
            sequence = self._sequence + first & 0xFFFF_FFFF
            head = (self._columns << 32) + sequence
            heads = numpy.arange(head, head + n)
            if sequence + n > 1 << 32:  # numbers have 32 bits: from here on they start again at 0
                heads[(1 << 32) - sequence:] -= 1 << 32
        else:
            heads = (self._columns << 32) + (numpy.asarray(self._sequence[rows], numpy.int64) & 0xFFFF_FFFF)
        arrays.heads[where] = heads

