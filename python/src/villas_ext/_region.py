# SPDX-License-Identifier: Apache-2.0

"""A side of a region: what the samples of a region (layout A) are like, and where they lie."""

from __future__ import annotations

import ctypes
import struct
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import abi
from ._arrays import Rows, SampleArray
from ._memory import LENGTH, SEQUENCE, SOURCE_OFFSET, VALUES_OFFSET, Handle, Pool
from ._sample import Sample, to_ns
from ._side import Calls, Side, deadline_of

if TYPE_CHECKING:
    from ._arrays import Times

# What is set in a sample that was allocated, around what must stay.
_head = struct.Struct("=ii")
_rest = struct.Struct("=q6qQ")
assert (SEQUENCE, LENGTH) == (0, 1) and SOURCE_OFFSET + _rest.size == VALUES_OFFSET


class Region(Side[Sample]):
    """One side of a region: what :func:`villas_ext.open` and :class:`villas_ext.Node` have in common."""

    _Sample = Sample

    def alloc(self, values: Any = (), *, sequence: int = 0, ts_origin: int | datetime | None = None,
              ts_received: int | datetime | None = None, ts_sent: int | datetime | None = None,
              timeout: float | None = 0) -> Sample:
        """Take a free sample and fill it in, to be written: values as floats, and times, which are now unless given.

        ``alloc(sample)`` makes it a copy of a sample of any region. Raises OSError with errno ENOBUFS if none is free and
        none becomes free in time: the other side must read, and this one release.
        """
        sample = self._take_free(timeout)
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
            return self._send(self._writing_shared(values, deadline_of(timeout)), True)
        rows = Rows(values, self.capacity, sequence, (ts_origin, ts_received, ts_sent), format)
        return self._write_rows(rows, timeout)

    def _map(self, pool: int, shared: int) -> None:
        """View the blocks of the present region."""
        blocks = abi.struct_shmem_blocks()
        self._calls.leaf("shmem_shared_blocks", ctypes.c_void_p, ctypes.c_void_p)(shared, ctypes.addressof(blocks))
        self._pool = self._source = Pool(self._handle, pool, blocks, self._calls.put_many)
