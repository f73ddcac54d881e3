# SPDX-License-Identifier: Apache-2.0

"""Many samples at once without numpy: arrays and two-dimensional memoryviews of the standard library."""

from __future__ import annotations

import math
import struct
import time
from array import array
from typing import Any, List, Tuple

from ._memory import (
    FORMAT, LENGTH, ORIGIN, RECEIVED, SENT, SEQUENCE, SOURCE_OFFSET, VALUE_SIZE, VALUES_OFFSET, Pool,
)

_NS = 1_000_000_000
_head = struct.Struct("=2i")
_rest = struct.Struct("=7qQ")


class Table:
    """Collects samples, always as a copy."""

    def __init__(self, copy: bool, minimum: int) -> None:
        self._parts: List[bytes] = []

    def __len__(self) -> int:
        return len(self._parts)

    def append(self, pool: Pool, addresses: Any, n: int) -> bool:
        """Add n samples; whether they stay in use."""
        memory, stride = pool.bytes, pool.stride
        for at in addresses[:n]:
            at -= pool.first
            self._parts.append(bytes(memory[at:at + stride]))
        return False

    def finish(self) -> SampleArray:
        return SampleArray(b"".join(self._parts), len(self._parts))


class SampleArray:
    """The contents of samples in private memory, a row a sample. len() is the number of rows."""

    shared = False  #: Whether the arrays are views of shared memory: for that numpy is needed.

    def __init__(self, records: bytes, n: int) -> None:
        view = memoryview(records)
        self._n, self._stride = n, len(records) // n
        self._bytes = view
        self._ints, self._quads, self._words = view.cast("i"), view.cast("q"), view.cast("Q")
        capacity = (self._stride - VALUES_OFFSET) // VALUE_SIZE
        self._lengths = [min(max(length, 0), capacity) for length in self.length]
        self._columns = max(self._lengths)

    def __len__(self) -> int:
        return self._n

    def release(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> SampleArray:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def _values(self, code: str) -> Any:
        rows, missing = bytearray(), struct.pack("f", math.nan)
        for i, length in enumerate(self._lengths):
            start = i * self._stride + VALUES_OFFSET
            rows += self._bytes[start:start + length * VALUE_SIZE]
            rows += missing * (self._columns - length)
        view: Any = memoryview(rows)
        return view.cast(code, (self._n, self._columns)) if rows else view.cast(code)

    @property
    def values(self) -> Any:
        """All values, (samples, values) of float32: a two-dimensional memoryview. Those marked as integers show as the
        floats of the same bits. A sample with fewer values than others is filled up with NaN."""
        return self._values("f")

    @property
    def integers(self) -> Any:
        """The same bits as :attr:`values` as int32."""
        return self._values("i")

    def as_float64(self) -> List[array[float]]:
        """All values as numbers, each as it is marked: a list of rows."""
        floats, integers, format = self.values, self.integers, self.format
        return [array("d", [integers[i, j] if j < min(64, self._lengths[i]) and format[i] >> j & 1 else floats[i, j]
                            for j in range(self._columns)]) for i in range(self._n)]

    @property
    def sequence(self) -> array[int]:
        """Sequence numbers."""
        return array("i", self._ints[SEQUENCE::self._stride // 4])

    @property
    def length(self) -> array[int]:
        """How many values each sample has."""
        return array("i", self._ints[LENGTH::self._stride // 4])

    @property
    def format(self) -> array[int]:
        """Bit i is set if value i of the sample is an integer."""
        return array("Q", self._words[FORMAT::self._stride // 8])

    def _times(self, word: int) -> array[int]:
        step = self._stride // 8
        return array("q", [s * _NS + ns for s, ns in zip(self._quads[word::step], self._quads[word + 1::step])])

    @property
    def ts_origin(self) -> array[int]:
        """When the values were measured: ns since 1970."""
        return self._times(ORIGIN)

    @property
    def ts_received(self) -> array[int]:
        """When the node received them, likewise."""
        return self._times(RECEIVED)

    @property
    def ts_sent(self) -> array[int]:
        """When they were sent on, likewise."""
        return self._times(SENT)

    def __repr__(self) -> str:
        return f"<SampleArray: {len(self)} samples>"


class Rows:
    """What is to be written into samples: per row the head, and the rest from the source field on."""

    def __init__(self, values: Any, capacity: int, sequence: Any, times: Tuple[Any, ...], format: int) -> None:
        self._rows: List[Tuple[bytes, bytes]] = []
        if isinstance(values, SampleArray):
            for i, length in enumerate(values._lengths):
                _check(length, capacity)
                start = i * values._stride
                end = start + VALUES_OFFSET + length * VALUE_SIZE
                self._rows.append((bytes(values._bytes[start:start + 8]), bytes(values._bytes[start + SOURCE_OFFSET:end])))
            return
        if isinstance(values, memoryview):
            values = values.tolist()
        now = time.time_ns()
        for i, row in enumerate(values):
            _check(len(row), capacity)
            number = sequence + i if isinstance(sequence, int) else sequence[i]
            rest: List[int] = [0]
            for ns in times:
                rest += divmod(now if ns is None else ns if isinstance(ns, int) else ns[i], _NS)
            content = array("f", row)
            if format:
                integers = memoryview(content).cast("B").cast("i")
                for j in range(min(len(row), 64)):
                    if format >> j & 1:
                        integers[j] = int(row[j])
            self._rows.append((_head.pack((number + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000, len(row)),
                               _rest.pack(*rest, format) + content.tobytes()))

    def __len__(self) -> int:
        return len(self._rows)

    def scatter(self, pool: Pool, addresses: Any, first: int, n: int) -> None:
        """Fill n blocks of pool with the rows from first on."""
        memory = pool.bytes
        for at, (head, rest) in zip(addresses[:n], self._rows[first:first + n]):
            at -= pool.first
            memory[at:at + len(head)] = head
            memory[at + SOURCE_OFFSET:at + SOURCE_OFFSET + len(rest)] = rest


def _check(length: int, capacity: int) -> None:
    if length > capacity:
        raise ValueError(f"{length} values do not fit: a sample of this region has room for {capacity}")
