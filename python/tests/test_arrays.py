# SPDX-License-Identifier: Apache-2.0

"""Many samples as arrays."""

from __future__ import annotations

import math
import time
from typing import Any, List

import pytest
import villas_ext
from conftest import Pair

try:
    import numpy
except ImportError:
    numpy = None

NS = 1_700_000_000_123_456_789


def rows(array: Any) -> List[Any]:
    return [list(row) for row in array.values.tolist()]


def numbers(array: Any) -> List[List[float]]:
    return [list(map(float, row)) for row in array.as_float64()]


def test_arrays_go_there_and_back(pair: Pair) -> None:
    values = [[i + j / 8 for j in range(8)] for i in range(50)]
    before = time.time_ns()
    assert pair.node.write_array(values, sequence=7) == 50
    array = pair.shm.read_array(64)
    assert len(array) == 50 and rows(array) == values
    assert list(array.sequence) == list(range(7, 57)) and list(array.length) == [8] * 50 and list(array.format) == [0] * 50
    assert before <= array.ts_origin[0] == array.ts_received[3] == array.ts_sent[49] <= time.time_ns()
    assert pair.free() == 128
    assert pair.shm.write_array(array) == 50
    back = pair.node.read_array(50)
    assert rows(back) == values and list(back.ts_origin) == list(array.ts_origin) and list(back.sequence) == list(array.sequence)
    assert pair.free() == 128


def test_blocks_in_any_order(pair: Pair) -> None:
    """Blocks that do not follow each other are gathered and scattered as well as others."""
    for step in (2, 3, 5):
        held = [pair.node.alloc() for _ in range(128)]
        for i in range(step):
            for sample in held[i::step]:
                sample.release()
        for _ in range(6):
            assert pair.node.write_array([[i, 2 * i] for i in range(50)], sequence=1) == 50
            array = pair.shm.read_array(50, copy=False)
            assert rows(array) == [[i, 2 * i] for i in range(50)] and list(array.sequence) == list(range(1, 51))
            assert pair.shm.write_array(array) == 50
            for i, sample in enumerate(pair.node.read_many(50)):
                with sample:
                    assert list(sample) == [i, 2 * i]
        del array
        assert pair.free() == 128


def test_numbers_and_times_of_each_row(pair: Pair) -> None:
    make = list if numpy is None else numpy.array
    pair.node.write_array([[1.0], [2.0], [3.0]], sequence=make([5, -1, 2**31 - 1]), ts_origin=make([1, NS, 3]), ts_sent=NS,
                          ts_received=make([0, 0, -5]))
    array = pair.shm.read_array(3)
    assert list(array.sequence) == [5, -1, 2**31 - 1] and list(array.ts_origin) == [1, NS, 3]
    assert list(array.ts_sent) == [NS] * 3 and list(array.ts_received) == [0, 0, -5]
    pair.node.write_array([[0.0]] * 4, sequence=2**31 - 2)
    pair.node.write_array([[0.0]] * 4, sequence=-2)
    array = pair.shm.read_array(8)
    assert list(array.sequence) == [2**31 - 2, 2**31 - 1, -(2**31), -(2**31) + 1, -2, -1, 0, 1] and list(array.length) == [1] * 8


def test_integers(pair: Pair) -> None:
    pair.node.write_array([[1.5, -(2**31), 3.0], [2.5, 2**31 - 1, 4.0]], format=0b10)
    array = pair.shm.read_array(5)
    assert list(array.format) == [2, 2] and [row[1] for row in array.integers.tolist()] == [-(2**31), 2**31 - 1]
    assert numbers(array) == [[1.5, -(2.0**31), 3.0], [2.5, 2.0**31 - 1, 4.0]]
    pair.shm.write_array(array)
    with pair.node.read() as first, pair.node.read() as second:
        assert list(first) == [1.5, -(2**31), 3.0] and isinstance(second[1], int)


def test_all_64_values_may_be_integers(region: str) -> None:
    with villas_ext.Node(region, samplelen=70) as node, villas_ext.open(region) as shm:
        node.write_array([list(range(70))], format=2**64 - 1)
        array = shm.read_array(1)
        assert array.format[0] == 2**64 - 1 and numbers(array) == [[float(i) for i in range(70)]]
        assert array.integers.tolist()[0][63] == 63 and array.values.tolist()[0][64] == 64.0


def test_samples_of_several_lengths_are_filled_up(pair: Pair) -> None:
    for values in ([1, 2, 3], [], [4]):
        sample = pair.node.alloc([9] * 8)
        sample.values = values
        if len(values) == 3:
            sample.set_int(1, 2)
        pair.node.write(sample)
    array = pair.shm.read_array(3, copy=False)
    assert not array.shared
    first, second, third = numbers(array)
    assert first == [1, 2, 3] and all(map(math.isnan, second)) and third[0] == 4 and all(map(math.isnan, third[1:]))
    assert list(array.length) == [3, 0, 1]
    assert [math.isnan(v) for v in rows(array)[2]] == [False, True, True]


def test_no_values_at_all(pair: Pair) -> None:
    pair.node.write(pair.node.alloc(sequence=4))
    array = pair.shm.read_array(1)
    assert len(array) == 1 and list(array.sequence) == [4] and array.values.tolist() in ([], [[]])


def test_more_than_the_queue_holds(pair: Pair) -> None:
    import threading

    count = 1000
    writer = threading.Thread(target=lambda: pair.node.write_array([[i] for i in range(count)], timeout=30))
    writer.start()
    array = pair.shm.read_array(count, minimum=count, timeout=30)
    writer.join()
    assert [row[0] for row in rows(array)] == list(range(count)) == list(array.sequence)


def test_a_write_that_runs_out_of_time_tells_how_far_it_got(pair: Pair) -> None:
    assert pair.node.write_array([[i] for i in range(100)], timeout=0) == 64
    assert pair.free() == 64
    with pytest.raises(TimeoutError):
        pair.node.write_array([[0.0]], timeout=0.02)
    assert pair.node.write_array([], timeout=0) == 0
    assert pair.free() == 64 and len(pair.shm.read_array(100)) == 64
    held = [pair.shm.alloc() for _ in range(128)]
    with pytest.raises(TimeoutError):
        pair.node.write_array([[0.0]], timeout=0.02)
    for sample in held:
        sample.release()


def test_what_does_not_fit_is_refused(pair: Pair) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        pair.node.write_array([[0.0] * (pair.node.capacity + 1)])
    for n in (0, -1):
        with pytest.raises(ValueError):
            pair.shm.read_array(n)
        with pytest.raises(ValueError):
            pair.shm.read_many(n)
    with pytest.raises((ValueError, TypeError)):
        pair.node.write_array([1.0, 2.0])
    assert pair.free() == 128


def test_arrays_outlive_everything(region: str) -> None:
    with villas_ext.Node(region) as node, villas_ext.open(region) as shm:
        node.write_array([[1, 2], [3, 4]])
        array = shm.read_array(2)
    assert rows(array) == [[1, 2], [3, 4]]
    array.release()
    with array:
        pass
    assert rows(array) == [[1, 2], [3, 4]]


def test_without_a_copy_the_arrays_are_the_samples(pair: Pair) -> None:
    pair.node.write_array([[i, i] for i in range(20)], sequence=3)
    array = pair.shm.read_array(64, copy=False)
    if numpy is None:
        assert not array.shared
        return
    assert array.shared and pair.free() == 108
    view = array.values
    view *= 2
    for use in (array.release, lambda: pair.shm.write_array(array), pair.shm.close):
        with pytest.raises(BufferError):
            use()
    assert array.values[1, 0] == 2.0
    del view
    assert pair.shm.write_array(array) == 20
    with pytest.raises(ValueError):
        array.values
    with pytest.raises(ValueError):
        pair.shm.write_array(array)
    back = pair.node.read_array(20)
    assert rows(back) == [[2 * i, 2 * i] for i in range(20)] and list(back.sequence) == list(range(3, 23))
    assert pair.free() == 128


def test_shared_arrays_go_back_with_the_last_of_them(pair: Pair) -> None:
    for end in ("release", "with", "forget", "view"):
        pair.node.write_array([[i, i] for i in range(20)])
        array = pair.shm.read_array(64, copy=False)
        if numpy is None:
            return
        if end == "release":
            array.release()
            with pytest.raises(ValueError):
                len(array)
        elif end == "with":
            with array:
                assert array.sequence[0] == 0
        elif end == "forget":
            del array
        else:
            view = array.values[3:5]
            del array
            assert pair.free() == 108 and view[1, 0] == 4.0
            del view
        assert pair.free() == 128


def test_a_shared_array_that_was_sent_in_part_keeps_the_rest(pair: Pair) -> None:
    pair.shm.write_array([[0]] * 50)
    pair.node.write_array([[i] for i in range(20)])
    array = pair.shm.read_array(20, copy=False)
    if numpy is None:
        return
    assert pair.shm.write_array(array, timeout=0) == 14
    assert len(array) == 6 and rows(array) == [[i] for i in range(14, 20)]
    with pytest.raises(TimeoutError):
        pair.shm.write_array(array, timeout=0)
    assert rows(pair.node.read_array(64))[50:] == [[i] for i in range(14)]
    assert pair.shm.write_array(array) == 6
    assert rows(pair.node.read_array(6)) == [[i] for i in range(14, 20)]
    assert pair.free() == 128


def test_another_region_gets_the_same_samples(region: str) -> None:
    with Pair(region + "a", samplelen=20) as one, Pair(region + "b", samplelen=8) as other:
        one.node.write_array([[1, 2, 3]], sequence=9, ts_origin=NS)
        other.node.write_array(one.shm.read_array(1))
        array = other.shm.read_array(1)
        assert rows(array) == [[1, 2, 3]] and array.sequence[0] == 9 and array.ts_origin[0] == NS
        one.node.write_array([[0] * 20])
        with pytest.raises(ValueError):
            other.node.write_array(one.shm.read_array(1))
