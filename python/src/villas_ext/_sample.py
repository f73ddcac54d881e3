# SPDX-License-Identifier: Apache-2.0

"""The sample: a sequence number, three timestamps, values of four bytes in shared memory."""

from __future__ import annotations

import array
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Iterator, Sequence

from ._held import Held
from ._memory import FORMAT, LENGTH, ORIGIN, RECEIVED, SENT, SEQUENCE, SOURCE_OFFSET, VALUE_SIZE, VALUES, VALUES_OFFSET

if TYPE_CHECKING:
    import numpy

    Floats = numpy.ndarray[Any, numpy.dtype[numpy.float32]]
    Integers = numpy.ndarray[Any, numpy.dtype[numpy.int32]]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FORMATS = 64  # values that can be marked as integers


def to_datetime(ns: int) -> datetime:
    """Nanoseconds since the epoch as a datetime in UTC, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def to_ns(time: int | datetime) -> int:
    """The inverse; a datetime without time zone is local time. Integers pass."""
    if isinstance(time, datetime):
        return (time.astimezone(timezone.utc) - _EPOCH) // timedelta(microseconds=1) * 1000
    return time


def _timestamp(word: int, doc: str) -> Any:
    def get(self: Sample) -> int:
        at = (self._word >> 1) + word
        quads = self._blocks.quads
        return quads[at] * 1_000_000_000 + quads[at + 1]

    def set(self: Sample, ns: int) -> None:
        at = (self._word >> 1) + word
        self._blocks.quads[at], self._blocks.quads[at + 1] = divmod(ns, 1_000_000_000)

    return property(get, set, doc=doc)


def _datetime(attribute: str) -> Any:
    def get(self: Sample) -> datetime:
        return to_datetime(getattr(self, attribute))

    def set(self: Sample, time: datetime) -> None:
        setattr(self, attribute, to_ns(time))

    return property(get, set, doc=f":attr:`{attribute}` as a datetime in UTC, cut to microseconds.")


class Sample(Held):
    """A sample in shared memory, or a private :meth:`copy` of one. Reading and allocating give samples; nobody makes one.

    It holds its block of the region until it is written, released, or the ``with`` block that it stands in ends. A sample
    that is simply forgotten goes back, too, with a ResourceWarning. Any use after that raises ValueError.

    The attributes are the memory itself, nothing is cached: what is assigned is what the other side will read.
    ``sample[i]`` is value i as a Python number, an int where the value is marked as one.
    """

    __slots__ = ()

    @property
    def sequence(self) -> int:
        """The number of the sample; counts up by one from sample to sample, in 32 bits."""
        return self._blocks.ints[self._word + SEQUENCE]

    @sequence.setter
    def sequence(self, number: int) -> None:
        self._blocks.ints[self._word + SEQUENCE] = (number + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000

    ts_origin: int = _timestamp(ORIGIN, "When the values were measured or computed: ns since 1970.")
    ts_received: int = _timestamp(RECEIVED, "When the node received them: ns since 1970.")
    ts_sent: int = _timestamp(SENT, "When they were sent on: ns since 1970.")
    origin: datetime = _datetime("ts_origin")
    received: datetime = _datetime("ts_received")
    sent: datetime = _datetime("ts_sent")

    @property
    def length(self) -> int:
        """How many values there are. May be set, up to the capacity; values that appear by it are not initialised."""
        return min(max(self._blocks.ints[self._word + LENGTH], 0), self._blocks.capacity)

    @length.setter
    def length(self, n: int) -> None:
        self._check_room(n)
        self._blocks.ints[self._word + LENGTH] = n

    def __len__(self) -> int:
        return self.length

    @property
    def values(self) -> Floats:
        """The values in place: a float32 numpy array of :attr:`length` elements, or without numpy a memoryview.

        Writing to it writes the sample. Values that are marked as integers show as the floats of the same bits, see
        :attr:`integers`. While any such view is alive, the sample cannot be released or written.

        Assigning a sequence of numbers sets the length and makes all of them floats.
        """
        floats: Floats = self._blocks.view(self._at, self.length, "f")
        return floats

    @values.setter
    def values(self, numbers: Sequence[float] | Floats) -> None:
        n = len(numbers)
        self._check_room(n)
        blocks, start = self._blocks, self._word + VALUES
        if isinstance(numbers, (list, tuple)):
            blocks.floats[start:start + n] = array.array("f", numbers)
        else:
            self._check_held()
            blocks.view(self._at, n, "f")[:] = numbers
        blocks.words[(self._word >> 1) + FORMAT] = 0
        blocks.ints[self._word + LENGTH] = n

    @property
    def integers(self) -> Integers:
        """The same memory as :attr:`values` as integers of 32 bits."""
        integers: Integers = self._blocks.view(self._at, self.length, "i")
        return integers

    @property
    def format(self) -> int:
        """Bit i is set if value i is an integer. Only values 0 to 63 can be."""
        return self._blocks.words[(self._word >> 1) + FORMAT]

    @format.setter
    def format(self, bits: int) -> None:
        self._blocks.words[(self._word >> 1) + FORMAT] = bits

    def __getitem__(self, i: int) -> float:
        i = self._index(i)
        blocks = self._blocks
        if i < _FORMATS and self.format >> i & 1:
            return blocks.ints[self._word + VALUES + i]
        return blocks.floats[self._word + VALUES + i]

    def __setitem__(self, i: int, value: float) -> None:
        """Set value i; whether it is an integer does not change: see :meth:`set_int` and :meth:`set_float`."""
        i = self._index(i)
        if i < _FORMATS and self.format >> i & 1:
            self._blocks.ints[self._word + VALUES + i] = value  # type: ignore[call-overload]
        else:
            self._blocks.floats[self._word + VALUES + i] = value

    def __iter__(self) -> Iterator[float]:
        for i in range(self.length):
            yield self[i]

    def is_int(self, i: int) -> bool:
        """Whether value i is an integer."""
        i = self._index(i)
        return i < _FORMATS and bool(self.format >> i & 1)

    def set_int(self, i: int, value: int) -> None:
        """Make value i the integer value, of 32 bits. ValueError for i above 63."""
        i = self._index(i)
        if i >= _FORMATS:
            raise ValueError(f"value {i}: only values 0 to {_FORMATS - 1} can be integers")
        self._blocks.ints[self._word + VALUES + i] = value
        self.format |= 1 << i

    def set_float(self, i: int, value: float) -> None:
        """Make value i the float value."""
        i = self._index(i)
        self._blocks.floats[self._word + VALUES + i] = value
        if i < _FORMATS:
            self.format &= ~(1 << i)

    def _index(self, i: int) -> int:
        length = self.length
        if i < 0:
            i += length
        if not 0 <= i < length:
            raise IndexError(f"the sample has {length} values")
        return i

    def _check_room(self, n: int) -> None:
        if not 0 <= n <= self.capacity:
            self._check_held()
            raise ValueError(f"{n} values do not fit: a sample of this region has room for {self.capacity}")

    def _content(self) -> bytes:
        start = self._word << 2
        content = self._blocks.bytes[start:start + VALUES_OFFSET + self.length * VALUE_SIZE]
        # References, pool and source mean something in shared memory only.
        return bytes(content[:8]) + bytes(SOURCE_OFFSET) + bytes(content[SOURCE_OFFSET + 8:])

    def copy_from(self, other: Sample) -> None:
        """Take sequence number, timestamps, format and values from other. ValueError if they do not fit."""
        self._check_room(other.length)
        content, start = other._content(), self._word << 2
        self._blocks.bytes[start:start + 8] = content[:8]
        self._blocks.bytes[start + SOURCE_OFFSET:start + len(content)] = content[SOURCE_OFFSET:]

    def __repr__(self) -> str:
        if self.released:
            return "<Sample, released>"
        return f"<Sample {self.sequence}: {list(self)}>"
