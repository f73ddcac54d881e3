# SPDX-License-Identifier: Apache-2.0

"""Pairs of objects: open_pair and what it gives. Exchanges with other programs are in tests/pair_test.go."""

from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import pickle
import signal
import threading
import time
import warnings
from typing import Any, Iterator, Tuple

import pytest
import villas_ext
from conftest import PATIENCE, ROOT
from villas_ext import Pair, abi

GOLDEN = ROOT / "internal/layout/testdata"


@pytest.fixture
def both(region: str, polling: bool) -> Iterator[Tuple[Pair, Pair]]:
    """Two sides of a pair in this process."""
    other: list[Pair] = []
    thread = threading.Thread(target=lambda: other.append(
        villas_ext.open_pair(region + "b", region + "a", PATIENCE, queuelen=64, samplelen=8, polling=polling)))
    thread.start()
    own = villas_ext.open_pair(region + "a", region + "b", PATIENCE, queuelen=64, samplelen=8, polling=polling)
    thread.join()
    yield own, other[0]
    own.close()
    other[0].close()


def test_every_field_and_kind_of_value_arrives(both: Tuple[Pair, Pair]) -> None:
    a, b = both
    assert a.name == b.name.split(",")[1] + "," + b.name.split(",")[0] and not a.legacy and a.capacity >= 8
    sample = a.alloc([0.1, 0, 0, 0], sequence=1 << 40, ts_origin=1700000000 * 10**9 + 5, ts_received=7)
    sample.set_int(1, -1 << 62)
    sample.set_bool(2, True)
    sample.set_complex(3, 1.5 - 2j)
    sample.new_frame = True
    a.write(sample)
    with pytest.raises(ValueError, match="was written"):
        sample.sequence
    got = b.read(PATIENCE)
    assert (got.sequence, got.ts_origin, got.ts_received) == (1 << 40, 1700000000 * 10**9 + 5, 7)
    assert got.flags == 0x1001B and got.new_frame and not got.new_simulation and got.length == len(got) == 4
    assert (got[0], got.get_int(1), got.get_bool(2), got.get_complex(3)) == (0.1, -1 << 62, True, 1.5 - 2j)
    assert got.integers[1] == -1 << 62 and got.values[0] == 0.1 and got.origin.second == 20
    copy, again = got.copy(), pickle.loads(pickle.dumps(got))
    for private in copy, again:
        assert (private.flags, private.get_complex(3), private.sequence) == (0x1001B, 1.5 - 2j, 1 << 40)
    with pytest.raises(OSError, match="this side's pool") as caught:
        b.write(got)
    assert caught.value.errno == errno.EINVAL and not got.released
    b.write(b.alloc(got, timeout=PATIENCE))
    got.release()
    with a.read(PATIENCE) as back:
        assert list(back)[:1] == [0.1] and back.flags == 0x1001B
    with a.alloc() as empty:
        assert empty.flags == abi.VILLAS_PAIR_HAS_SEQUENCE | abi.VILLAS_PAIR_HAS_ORIGIN
    with pytest.raises(ValueError, match="room for"):
        a.alloc(range(1000))


def test_arrays_go_round(both: Tuple[Pair, Pair]) -> None:
    a, b = both
    rows = [[i + 0.5, -i] for i in range(50)]
    assert a.write_array(rows, sequence=7, ts_origin=3, timeout=PATIENCE) == 50
    got = b.read_array(100, minimum=50, timeout=PATIENCE)
    assert len(got) == 50 and [list(row) for row in got.values] == rows
    assert list(got.sequence) == list(range(7, 57)) and set(got.ts_origin) == {3} and set(got.flags) == {0x19}
    assert b.write_array(got, timeout=PATIENCE) == 50
    back = a.read_array(100, minimum=50, timeout=PATIENCE)
    assert [list(row) for row in back.values] == rows and set(back.length) == {2} and not back.shared
    a.write_array([[1.0], [1.0, 2.0]], ts_received=[4, 5], sequence=[9, 3])
    uneven = b.read_array(2, minimum=2, timeout=PATIENCE)
    assert [repr(float(v)) for row in uneven.values for v in row] == ["1.0", "nan", "1.0", "2.0"]
    assert list(uneven.ts_received) == [4, 5] and list(uneven.sequence) == [9, 3] and list(uneven.length) == [1, 2]
    with pytest.raises(ValueError, match="room for"):
        a.write_array([range(1000)])


def test_a_closed_side_is_drained_before_its_end(both: Tuple[Pair, Pair]) -> None:
    a, b = both
    for i in range(3):
        a.write(a.alloc([i]))
    a.close()
    assert [sample[0] for sample in b] == [0, 1, 2]
    with pytest.raises(EOFError):
        b.read()
    with pytest.raises(BrokenPipeError):
        b.write(b.alloc([1]))
    b.close()
    with pytest.raises(ValueError, match="closed"):
        b.read()


def test_asyncio_reads(both: Tuple[Pair, Pair]) -> None:
    a, b = both

    async def main() -> None:
        async def send() -> None:
            for i in range(50):
                await a.write_async(a.alloc([i]))
                await asyncio.sleep(0)
            a.close()

        task = asyncio.create_task(send())
        assert [sample[0] async for sample in b] == list(range(50))
        await task

    asyncio.run(main())


def test_a_pair_reads_what_it_writes_over_one_object(region: str, polling: bool) -> None:
    with villas_ext.open_pair(region, region, PATIENCE, polling=polling) as pair:
        pair.write(pair.alloc([42]))
        with pair.read(PATIENCE) as sample:
            assert list(sample) == [42]
        with pytest.raises(TimeoutError):
            pair.read(0.01)


def test_errors_are_the_operating_systems(region: str) -> None:
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match="start it, or start it again"):
        villas_ext.open_pair(region + "a", region + "b", 0.2)
    assert time.monotonic() - begin < 4
    for options, number in (({"queuelen": 0}, errno.EINVAL), ({"samplelen": -1}, errno.EINVAL)):
        with pytest.raises(OSError) as wrong:
            villas_ext.open_pair(region + "a", region + "b", 0.2, **options)
        assert wrong.value.errno == number
    for name, number in ("x/y", errno.EINVAL), ("n" * 300, errno.ENAMETOOLONG):
        with pytest.raises(OSError) as wrong:
            villas_ext.open_pair(name, region, 0.2)
        assert wrong.value.errno == number
    with villas_ext.open_pair(region, region, PATIENCE):
        with pytest.raises(FileExistsError, match="swap the two names"):
            villas_ext.open_pair(region, region + "b", 0.2)


def test_an_interrupt_ends_the_wait_for_the_other_side(region: str, python: Any) -> None:
    waiting = python("""
        try:
            villas_ext.open_pair(name + "a", name + "b")
        except KeyboardInterrupt:
            print("interrupted")
    """, region)
    end = time.monotonic() + PATIENCE
    while not os.path.exists(f"/dev/shm{region}a"):
        assert time.monotonic() < end
        time.sleep(0.001)
    waiting.popen.send_signal(signal.SIGINT)
    assert waiting.end() == "interrupted\n"  # and the fixture finds nothing left


@pytest.mark.parametrize("mode", ["polling", "pthread"])
def test_golden_objects_give_their_samples(region: str, mode: str) -> None:
    """What a VILLASnode has written, with its handshake played by hand."""
    stand_in = pathlib.Path("/dev/shm" + region + "b")
    stand_in.write_bytes((GOLDEN / f"g-16-8-{mode}.bin").read_bytes())
    opened: list[Pair] = []
    thread = threading.Thread(target=lambda: opened.append(villas_ext.open_pair(region + "a", region + "b", PATIENCE)))
    thread.start()
    libc = abi.library()
    import ctypes
    ours, theirs = f"/dev/shm/sem.{region[1:]}a", f"/dev/shm/sem.{region[1:]}b"
    for path in ours, theirs, "/dev/shm" + region + "a":
        while not os.path.exists(path):
            time.sleep(0.001)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sem_open.restype = ctypes.c_void_p
    for call in libc.sem_post, libc.sem_wait, libc.sem_close:
        call.argtypes = [ctypes.c_void_p]
    own = libc.sem_open((region + "b").encode(), 0)
    other = libc.sem_open((region + "a").encode(), 0)
    libc.sem_post(own)
    libc.sem_wait(other)
    libc.sem_unlink((region + "b").encode())
    thread.join()
    for semaphore in own, other:
        libc.sem_close(semaphore)
    with opened[0] as pair:
        assert pair.legacy
        for i in range(3):
            with pair.read(PATIENCE) as sample:
                assert (sample.sequence, sample.length, sample.capacity, sample.flags) == (100 + i, 3, 13, 0x1B)
                assert sample.ts_origin == (1700000000 + i) * 10**9 + 111111111 * (i + 1)
                assert sample.ts_received == (1700000000 + i) * 10**9 + 222222222
                assert (sample[0], sample.get_int(1), sample[2]) == (1.5 * (i + 1), -7000000000 * (i + 1), 1e-3 * i)
    stand_in.unlink()


def test_samples_that_are_forgotten_go_back(both: Tuple[Pair, Pair]) -> None:
    a, b = both
    for _ in range(200):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            a.alloc([1])
            a.write(a.alloc([2], timeout=PATIENCE), PATIENCE)
            b.read(PATIENCE)
