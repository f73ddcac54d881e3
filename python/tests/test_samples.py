# SPDX-License-Identifier: Apache-2.0

"""A sample: what it says, and how long it lasts."""

from __future__ import annotations

import gc
import os
import pickle
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import villas_ext
from conftest import Pair, mapped_inodes

NS = 1_700_000_000_123_456_789


def listed(view: Any) -> Any:
    return view.tolist()


def drain(pair: Pair) -> None:
    """Read what is left, and give it back."""
    while True:
        try:
            pair.shm.read(timeout=0).release()
        except TimeoutError:
            return


def test_every_field_arrives_at_the_other_side(pair: Pair) -> None:
    sample = pair.node.alloc([1.5, -2.25, 0.0, 3.0], sequence=-7, ts_origin=NS, ts_received=1, ts_sent=-1)
    sample.set_int(2, -(2**31))
    pair.node.write(sample)
    with pair.shm.read() as got:
        assert list(got) == [1.5, -2.25, -(2**31), 3.0] and [type(v) for v in got] == [float, float, int, float]
        assert (got.sequence, len(got), got.length, got.format) == (-7, 4, 4, 1 << 2)
        assert (got.ts_origin, got.ts_received, got.ts_sent) == (NS, 1, -1)
        assert got.origin == datetime(2023, 11, 14, 22, 13, 20, 123456, timezone.utc)
        assert got.sent == datetime(1969, 12, 31, 23, 59, 59, 999999, timezone.utc)
        assert got.is_int(2) and not got.is_int(1) and got[-1] == 3.0
        assert got.capacity >= 8 == 8


def test_a_fresh_sample_has_the_time_and_nothing_of_what_the_block_held(pair: Pair) -> None:
    before = time.time_ns()
    for _ in range(2 * 64 * 2):
        sample = pair.node.alloc([9] * 8, sequence=5, ts_origin=1)
        sample.format = 0xFF
        sample.release()
    with pair.node.alloc() as sample:
        assert (sample.sequence, len(sample), sample.format) == (0, 0, 0)
        assert before <= sample.ts_origin == sample.ts_received == sample.ts_sent <= time.time_ns()


def test_assignment_writes_the_sample(pair: Pair) -> None:
    with pair.node.alloc([0, 0, 0]) as sample:
        sample[0], sample[-1] = 0.5, 2
        sample.set_int(1, 77)
        sample[1] = -78
        assert list(sample) == [0.5, -78, 2.0]
        with pytest.raises(TypeError):
            sample[1] = 1.5
        sample.set_float(1, 1.5)
        assert sample[1] == 1.5 and sample.format == 0
        view = sample.values
        view[2] = 8.0
        assert sample[2] == 8.0
        ints = sample.integers
        ints[2] = 0x40400000
        assert view[2] == 3.0
        del view, ints
        sample.values = (4, 5)
        assert listed(sample.values) == [4.0, 5.0]
        sample.values = memoryview(b"").cast("B").cast("f")
        assert len(sample) == 0
        sample.length = 2
        assert list(sample) == [4.0, 5.0]
        sample.sequence = 2**31 + 3
        assert sample.sequence == -(2**31) + 3
        sample.ts_origin = NS
        sample.received = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=1)))
        assert sample.ts_origin == NS and sample.ts_received == 1_577_833_200 * 10**9


def test_what_does_not_fit_is_refused_and_changes_nothing(pair: Pair) -> None:
    with pair.node.alloc([1, 2]) as sample:
        room = sample.capacity
        for wrong in (lambda: setattr(sample, "length", room + 1), lambda: setattr(sample, "length", -1),
                      lambda: setattr(sample, "values", [0] * (room + 1)), lambda: pair.node.alloc([0] * (room + 1))):
            with pytest.raises(ValueError):
                wrong()
        for i in (2, -3):
            with pytest.raises(IndexError):
                sample[i]
            with pytest.raises(IndexError):
                sample[i] = 0
        assert list(sample) == [1.0, 2.0]
        sample.set_int(0, 1)
        with pytest.raises((OverflowError, ValueError)):
            sample.set_int(0, 2**31)
    assert pair.free() == 128


def test_only_64_values_can_be_integers(region: str) -> None:
    with villas_ext.Node(region, samplelen=70) as node, node.alloc([1] * 70) as sample:
        sample.set_int(63, 5)
        with pytest.raises(ValueError):
            sample.set_int(64, 5)
        sample.format = 2**64 - 1
        assert not sample.is_int(64) and sample[64] == 1.0


def test_a_released_sample_cannot_be_used(pair: Pair) -> None:
    sample = pair.node.alloc([1])
    sample.release()
    sample.release()
    written = pair.node.alloc([1])
    pair.node.write(written)
    for gone in (sample, written):
        assert gone.released
        for use in (lambda: gone.sequence, lambda: gone.values, lambda: gone[0], lambda: len(gone), lambda: gone.ts_sent,
                    lambda: gone.copy(), lambda: setattr(gone, "sequence", 1), lambda: setattr(gone, "values", [1]),
                    lambda: setattr(gone, "length", 0), lambda: gone.set_int(0, 1), lambda: pair.node.write(gone),
                    lambda: pair.node.write_many([gone]), lambda: pickle.dumps(gone), lambda: pair.node.alloc(gone)):
            with pytest.raises(ValueError):
                use()
    pair.shm.read().release()
    assert pair.free() == 128


def test_a_view_keeps_its_sample_from_being_released_or_written(pair: Pair) -> None:
    sample = pair.node.alloc([1, 2, 3])
    view = sample.values
    part = view[1:]
    del view
    for use in (sample.release, lambda: pair.node.write(sample), lambda: pair.node.write_many([sample]), pair.node.close):
        with pytest.raises(BufferError):
            use()
        assert not sample.released and listed(part) == [2.0, 3.0]
    with pytest.raises(BufferError):
        with sample:
            pass
    del part
    pair.node.write(sample)
    pair.shm.read().release()
    assert pair.free() == 128


def test_an_error_in_a_with_block_is_not_hidden_by_its_views(pair: Pair) -> None:
    with pytest.raises(KeyError) as caught:
        with pair.node.alloc([1]) as sample:
            view = sample.values
            raise KeyError
    assert listed(view) == [1.0]
    del caught, sample, view
    gc.collect()
    assert pair.free() == 128


def test_a_loop_takes_each_sample_back_when_it_goes_on(pair: Pair) -> None:
    pair.node.write_array([[i] for i in range(8)])
    former: Any = None
    for sample in pair.shm:
        assert former is None or former.released
        former = sample
        if sample[0] == 1:
            break
    assert list(sample) == [1.0], "after a break the last one is still there"
    for sample in pair.shm:
        view = sample.values  # may be used for a round more
        assert listed(view) == [sample[0]]
        if sample[0] == 4:
            break
    del former, sample, view
    assert pair.free() == 125
    kept = [sample.copy() for _, sample in zip(range(3), pair.shm)]
    assert [list(copy) for copy in kept] == [[5.0], [6.0], [7.0]]
    assert pair.free() == 128


def test_a_loop_does_not_let_views_pile_up(pair: Pair) -> None:
    pair.node.write_array([[i] for i in range(6)])
    views = []
    with pytest.raises(BufferError):
        for sample in pair.shm:
            views.append(sample.values)
    assert [listed(view) for view in views] == [[0.0], [1.0]]
    del views, sample
    gc.collect()
    drain(pair)
    assert pair.free() == 128


def test_a_forgotten_sample_goes_back_with_a_warning(pair: Pair) -> None:
    for forget in (lambda: pair.node.alloc([1]), lambda: pair.shm.read(), lambda: pair.shm.read_many(5)):
        pair.node.write(pair.node.alloc([2]))
        with pytest.warns(ResourceWarning, match="never released"):
            forget()
            gc.collect()
        drain(pair)
        assert pair.free() == 128


def test_a_view_outlives_its_forgotten_sample(pair: Pair) -> None:
    with pytest.warns(ResourceWarning):
        view = pair.node.alloc([5, 6]).values
    assert pair.free() == 127
    others = [pair.node.alloc([0, 0]) for _ in range(127)]
    assert listed(view) == [5.0, 6.0]
    del view
    assert pair.free() == 1
    for other in others:
        other.release()


def inode(name: str) -> int:
    return os.stat(f"/dev/shm{name}").st_ino


def test_the_region_stays_mapped_until_the_last_view_is_gone(region: str) -> None:
    node = villas_ext.Node(region)
    memory = inode(region)
    sample = node.alloc([1, 2, 3])
    view = sample.values
    with pytest.warns(ResourceWarning, match="never closed"):
        del node
    with pytest.warns(ResourceWarning, match="never released"):
        del sample
    gc.collect()
    part = view[1:]
    del view
    assert memory in mapped_inodes() and listed(part) == [2.0, 3.0]
    del part
    gc.collect()
    assert memory not in mapped_inodes()


def test_a_sample_keeps_the_region_mapped(region: str) -> None:
    with pytest.warns(ResourceWarning, match="never closed"):
        sample = villas_ext.Node(region).alloc([1])
    memory = inode(region)
    gc.collect()
    assert list(sample) == [1.0] and memory in mapped_inodes()
    sample.release()
    gc.collect()
    assert memory not in mapped_inodes()


def test_after_the_close_samples_cannot_be_used(region: str) -> None:
    node = villas_ext.Node(region)
    sample = node.alloc([1])
    node.close()
    node.close()
    assert sample.released and node.closed
    for use in (lambda: sample[0], lambda: sample.values, lambda: node.alloc([1]), lambda: node.read(timeout=0),
                lambda: node.write_array([[1.0]]), lambda: node.read_array(1, timeout=0), lambda: node.write(sample)):
        with pytest.raises(ValueError, match="closed"):
            use()
    sample.release()


def test_a_copy_is_independent(pair: Pair) -> None:
    pair.node.write(pair.node.alloc([1, 2], sequence=3, ts_origin=NS))
    with pair.shm.read() as sample:
        sample.set_int(1, 9)
        copies = [sample.copy(), pickle.loads(pickle.dumps(sample))]
        sample.values = [0, 0, 0]
    for copy in copies:
        assert list(copy) == [1.0, 9] and (copy.sequence, copy.ts_origin, copy.capacity) == (3, NS, 2)
        view = copy.values
        copy[0] = 7
        assert view[0] == 7.0
        copy.release()
        assert view[0] == 7.0
        with pytest.raises(ValueError):
            copy[0]


def test_a_copy_is_sent_as_another_sample(pair: Pair) -> None:
    pair.node.write(pair.node.alloc([1, 2], sequence=3, ts_origin=NS))
    sample = pair.shm.read()
    copy = sample.copy()
    for source in (copy, sample):
        pair.shm.write(pair.shm.alloc(source))
        with pair.node.read() as got:
            assert list(got) == [1.0, 2.0] and (got.sequence, got.ts_origin) == (3, NS)
    with pytest.raises(OSError):  # it is no block of the region
        pair.shm.write(copy)
    assert list(copy) == [1.0, 2.0]
    sample.release()
    assert pair.free() == 128


def test_the_other_side_cannot_lead_outside(pair: Pair) -> None:
    pair.node.write(pair.node.alloc([1, 2]))
    with pair.shm.read() as sample:
        raw = villas_ext.abi.struct_sample.from_address(sample._at)
        for length, clamped in ((-5, 0), (10**9, sample.capacity)):
            raw.length = length
            assert len(sample) == len(sample.values) == len(list(sample)) == clamped
            assert len(sample.copy()) == clamped
        raw.length = 2
