# SPDX-License-Identifier: Apache-2.0

"""Waits: timeouts, the end, a dead other side, Ctrl-C, threads, a close in the middle."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from typing import Any, Callable, List

import pytest
import villas_ext
from conftest import PATIENCE, Pair, appears, mapped_inodes


def test_a_wait_ends_with_the_time(pair: Pair, figure: Callable[[str], None]) -> None:
    full = [pair.node.alloc([1]) for _ in range(64)]
    pair.node.write_many(full)
    extra = pair.node.alloc([1])
    held = [pair.node.alloc() for _ in range(63)]
    waits = {
        "read": lambda t: pair.node.read(timeout=t),
        "read_many": lambda t: pair.node.read_many(3, timeout=t),
        "read_array": lambda t: pair.node.read_array(3, timeout=t),
        "write": lambda t: pair.node.write(extra, timeout=t),
        "write_many": lambda t: pair.node.write_many([extra], timeout=t),
        "write_array": lambda t: pair.node.write_array([[1.0]], timeout=t),
    }
    for name, wait in waits.items():
        for seconds in (0, 0.12, -1):
            begin = time.monotonic()
            with pytest.raises(TimeoutError) as caught:
                wait(seconds)
            took = time.monotonic() - begin
            assert caught.value.errno == errno.ETIMEDOUT and caught.value.filename == pair.node.name
            assert max(seconds, 0) <= took < max(seconds, 0) + 4, name
    begin = time.monotonic()
    with pytest.raises(OSError) as exhausted:
        pair.node.alloc(timeout=0.12)
    assert exhausted.value.errno == errno.ENOBUFS and 0.12 <= time.monotonic() - begin < 4
    assert not extra.released
    for sample in [extra, *held]:
        sample.release()


def test_a_write_waits_for_room_and_an_alloc_for_a_free_sample(pair: Pair) -> None:
    pair.node.write_many([pair.node.alloc([i]) for i in range(64)])
    held = [pair.node.alloc() for _ in range(63)]
    last = pair.node.alloc([64])
    reader = threading.Timer(0.1, lambda: [pair.shm.read().release() for _ in range(10)])
    reader.start()
    pair.node.write(last, timeout=PATIENCE)
    pair.node.write(pair.node.alloc([65], timeout=PATIENCE), timeout=PATIENCE)
    reader.join()
    for sample in held:
        sample.release()


def test_write_many_tells_how_many_went_in(pair: Pair) -> None:
    samples = [pair.node.alloc([i], sequence=i) for i in range(70)]
    assert pair.node.write_many(samples, timeout=0.05) == 64
    assert [s.released for s in samples] == [True] * 64 + [False] * 6
    assert [s.sequence for s in samples[64:]] == list(range(64, 70))
    with pytest.raises(ValueError):  # twice the same: nothing is sent
        pair.node.write_many([samples[64], samples[64]], timeout=0)
    assert not samples[64].released
    assert pair.node.write_many([]) == 0
    for sample in samples[64:]:
        sample.release()


def test_what_was_sent_is_read_before_the_end(region: str, polling: bool) -> None:
    pair = Pair(region, polling=polling)
    for i in range(5):
        pair.node.write(pair.node.alloc([i], sequence=i))
    pair.node.close()
    assert [s.sequence for s in pair.shm] == [0, 1, 2, 3, 4]
    with pytest.raises(EOFError):
        pair.shm.read()
    with pytest.raises(EOFError):
        pair.shm.read_array(5, timeout=0)
    with pytest.raises(BrokenPipeError):
        pair.shm.write(pair.shm.alloc([1]))
    pair.shm.close()


def test_read_array_gives_what_there_is_at_the_end(region: str, polling: bool) -> None:
    pair = Pair(region, polling=polling)
    pair.node.write_array([[1.0], [2.0]])
    assert len(pair.shm.read_array(10, minimum=10, timeout=0.1)) == 2
    pair.node.write_array([[3.0], [4.0], [5.0]])
    pair.node.close()
    assert len(pair.shm.read_array(10, minimum=10)) == 3
    pair.shm.close()


@pytest.mark.parametrize("victim", ["node", "program"])
def test_the_other_side_is_killed(victim: str, region: str, polling: bool, python: Any, figure: Callable[[str], None]) -> None:
    if victim == "node":
        other = python("with villas_ext.Node(name, polling=bool(int(sys.argv[2]))) as node: node.read()", region, int(polling))
        appears(f"/dev/shm{region}")
        side: Any = villas_ext.open(region)
    else:
        side = villas_ext.Node(region, polling=polling)
        other = python("with villas_ext.open(name) as shm: shm.read()", region)
        side.accept(timeout=PATIENCE)
    with side:
        time.sleep(0.1)
        begin = time.monotonic()
        other.popen.send_signal(signal.SIGKILL)
        with pytest.raises(OSError) as caught:
            side.read(timeout=PATIENCE)
        took = time.monotonic() - begin
        assert caught.value.errno == errno.EOWNERDEAD and took < 20 * 0.2
        figure(f"a killed {victim} is noticed after {took * 1000:.0f} ms ({'polling' if polling else 'signalled'})")
        with pytest.raises(OSError) as caught:
            side.write(side.alloc([1]))
        assert caught.value.errno == errno.EOWNERDEAD
        with pytest.raises(OSError):
            for _ in side:
                pass
    other.end(-signal.SIGKILL)
    if victim == "node":
        os.unlink(f"/dev/shm{region}")


BLOCKING = {
    "read": "shm.read()",
    "read_many": "shm.read_many(5)",
    "read_array": "shm.read_array(5)",
    "the loop": "[None for sample in shm]",
    "async read": "import asyncio; asyncio.run(shm.read_async())",
    "async loop": "import asyncio\n    async def main():\n        async for sample in shm: pass\n    asyncio.run(main())",
    "write": "[shm.write(shm.alloc([1], timeout=None)) for _ in range(1000)]",
    "alloc": "held = [shm.alloc(timeout=None) for _ in range(10000)]",
}


@pytest.mark.parametrize("what", BLOCKING)
def test_ctrl_c_ends_a_wait(what: str, region: str, polling: bool, python: Any, figure: Callable[[str], None]) -> None:
    with villas_ext.Node(region, queuelen=64, polling=polling) as node:
        program = python(f"import warnings; warnings.simplefilter('ignore')\nshm = villas_ext.open(name)\nprint('waits')\n"
                         f"try:\n    {BLOCKING[what]}\nexcept KeyboardInterrupt:\n    print('interrupted')\n    shm.close()", region)
        node.accept(timeout=PATIENCE)
        assert program.line() == "waits"
        time.sleep(0.3)
        begin = time.monotonic()
        program.popen.send_signal(signal.SIGINT)
        assert program.line() == "interrupted"
        took = time.monotonic() - begin
        assert took < 20 * 0.2
        figure(f"Ctrl-C ends {what} after {took * 1000:.0f} ms ({'polling' if polling else 'signalled'})")
        program.end()


def test_ctrl_c_leaves_what_was_not_written_with_its_owner(region: str, python: Any) -> None:
    with villas_ext.Node(region, queuelen=64) as node:
        program = python("""
            with villas_ext.open(name) as shm:
                shm.write_array([[i] for i in range(62)])
                mine = [shm.alloc([i]) for i in range(4)]
                print("waits")
                try:
                    shm.write_many(mine)
                except KeyboardInterrupt:
                    print([sample.released for sample in mine])
                try:
                    print("waits")
                    shm.write(mine[3])
                except KeyboardInterrupt:
                    print(list(mine[3]))
                for sample in mine:
                    sample.release()
            """, region)
        node.accept(timeout=PATIENCE)
        for said in ("[True, True, False, False]", "[3.0]"):
            assert program.line() == "waits"
            time.sleep(0.2)
            program.popen.send_signal(signal.SIGINT)
            assert program.line() == said
        program.end()
        assert [int(sample[0]) for sample in node] == list(range(62)) + [0, 1]


def test_an_interrupted_read_leaves_all_samples_to_the_next(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.node.write_many([pair.node.alloc([i], sequence=i) for i in range(9)])
    made: List[int] = []

    def make(*arguments: Any) -> villas_ext.Sample:
        made.append(1)
        if len(made) in (1, 5):
            raise KeyboardInterrupt
        return villas_ext.Sample(*arguments)

    monkeypatch.setattr(pair.shm, "_Sample", make)
    for n in (6, 4):  # from the queue, then from what was kept
        with pytest.raises(KeyboardInterrupt):
            pair.shm.read_many(n)
    samples = pair.shm.read_many(9) + pair.shm.read_many(9)
    assert [sample.sequence for sample in samples] == list(range(9))
    for sample in samples:
        sample.release()
    assert pair.free() == 128


def test_ctrl_c_ends_accept_and_open(region: str, python: Any) -> None:
    node = python("""
        with villas_ext.Node(name) as node:
            print("waits")
            try:
                node.accept()
            except KeyboardInterrupt:
                print("interrupted")
        """, region)
    assert node.line() == "waits"
    with open(f"/dev/shm{region}", "rb") as file:
        file.read(1)
    time.sleep(0.1)
    node.popen.send_signal(signal.SIGINT)
    assert node.line() == "interrupted"
    node.end()
    golden = os.path.join(os.path.dirname(__file__), "../../internal/layout/testdata/a-32-4-polling.bin")
    with open(golden, "rb") as file, open(f"/dev/shm{region}", "wb") as copy:  # nobody is at its barrier
        copy.write(file.read())
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        villas_ext.open(region, timeout=0.2)
    assert 0.2 <= time.monotonic() - begin < 4
    with pytest.raises(OSError) as refused:
        villas_ext.open(region, legacy=False)
    assert refused.value.errno == errno.EPROTONOSUPPORT
    program = python("""
        print("waits")
        try:
            villas_ext.open(name)
        except KeyboardInterrupt:
            print("interrupted")
        """, region)
    assert program.line() == "waits"
    time.sleep(0.3)
    program.popen.send_signal(signal.SIGINT)
    assert program.line() == "interrupted"
    program.end()
    os.unlink(f"/dev/shm{region}")


def test_signals_in_a_storm_lose_no_sample(region: str, polling: bool, python: Any) -> None:
    """KeyboardInterrupt at random moments of a read: every sample comes, once and in order, and no block is lost."""
    count = 3000
    with villas_ext.Node(region, queuelen=64, samplelen=1, polling=polling) as node:
        program = python("""
            import os, random, signal, threading, warnings
            warnings.simplefilter("ignore")
            shm = villas_ext.open(name)
            armed, hits, done = False, 0, False
            def handler(*_):
                global armed, hits
                if armed:
                    armed = False
                    hits += 1
                    raise KeyboardInterrupt
            def shoot():
                while not done:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(random.random() * 0.002)
            signal.signal(signal.SIGINT, handler)
            thread = threading.Thread(target=shoot)
            thread.start()
            last, read = -1, 0
            while last < int(sys.argv[2]) - 1:
                taken = None
                try:
                    armed = True
                    taken = shm.read()
                    armed = False
                except KeyboardInterrupt:
                    pass
                if taken is not None:
                    assert taken.sequence > last, (taken.sequence, last)
                    last = taken.sequence
                    read += 1
                    taken.release()
            done = True
            thread.join()
            print(read, hits)
            shm.close()
            """, region, count)
        node.accept(timeout=PATIENCE)
        for i in range(count):
            if i % 20 == 0:
                time.sleep(0.002)  # reads that wait are there to be hit
            node.write(node.alloc([i], sequence=i, timeout=PATIENCE), timeout=PATIENCE)
        read, hits = map(int, program.line().split())
        # An interrupt may come after the sample was given to the caller and before it has a name: that one is gone.
        assert hits > 3 and read >= count - hits
        program.end()
        with pytest.raises(EOFError):
            node.read(timeout=PATIENCE)
        abi = villas_ext.abi
        pool = abi.struct_pool.from_address(node._pool.address)
        assert abi.library().queue_available(pool.queue) == 128


def test_other_threads_run_while_one_waits(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("villas_ext._side._SLICE_NS", 20_000_000_000)  # one stay in C, which would keep the GIL so long
    begin = time.monotonic()
    waiter = threading.Thread(target=lambda: pair.shm.read().release())
    waiter.start()
    time.sleep(0.1)
    pair.node.write(pair.node.alloc([1]))
    waiter.join()
    assert time.monotonic() - begin < 10


def test_threads_share_a_side(pair: Pair) -> None:
    count, got = 4000, [0] * 4

    def consume(i: int) -> None:
        for sample in pair.shm:
            got[i] += sample.sequence

    readers = [threading.Thread(target=consume, args=(i,)) for i in range(4)]
    for reader in readers:
        reader.start()

    def produce(start: int) -> None:
        for number in range(start, start + count // 4):
            pair.node.write(pair.node.alloc([0], sequence=number, timeout=PATIENCE), timeout=PATIENCE)

    writers = [threading.Thread(target=produce, args=(i * count // 4,)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(PATIENCE)
    while pair.free() < 128:
        time.sleep(0.001)
    pair.node.close()
    for reader in readers:
        reader.join(PATIENCE)
    assert sum(got) == count * (count - 1) // 2


def test_a_close_ends_the_waits_of_other_threads(pair: Pair) -> None:
    ended: List[Any] = []

    def wait() -> None:
        try:
            pair.shm.read()
        except OSError as failure:
            ended.append(failure.errno)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    pair.shm.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert ended == [errno.ECANCELED] * 3


def test_a_close_in_the_middle_of_a_call_is_done_after_it(region: str) -> None:
    """As a signal handler may do it that interrupts the call."""
    node = villas_ext.Node(region)
    memory = os.stat(f"/dev/shm{region}").st_ino
    with node._handle.lock:
        node.close()
        assert node.closed and memory in mapped_inodes()
    end = time.monotonic() + PATIENCE
    while memory in mapped_inodes():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("busy", ["waits", "reads arrays", "writes", "loops"])
def test_a_signal_handler_may_close(busy: str, region: str, polling: bool, python: Any) -> None:
    with villas_ext.Node(region, queuelen=64, samplelen=4, polling=polling) as node:
        program = python("""
            import signal
            shm = villas_ext.open(name)
            signal.signal(signal.SIGTERM, lambda *_: shm.close())
            print("ready")
            try:
                while True:
                    if sys.argv[2] == "reads arrays":
                        shm.read_array(64)
                    elif sys.argv[2] == "writes":
                        shm.write_array([[1.0, 2.0]] * 10)
                    elif sys.argv[2] == "loops":
                        for sample in shm:
                            shm.write(shm.alloc(sample, timeout=None))
                    else:
                        shm.read()
            except (OSError, ValueError) as end:
                print("ended", shm.closed)
            """, region, busy)
        node.accept(timeout=PATIENCE)
        assert program.line() == "ready"
        begin, sent = time.monotonic(), False
        while True:
            if not sent and time.monotonic() > begin + 0.2:
                sent = True
                program.popen.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError, BrokenPipeError):
                if busy != "waits":
                    node.write_array([[1.0, 2.0]] * 5, timeout=0.01)
            try:
                node.read_array(64, timeout=0.01)
            except TimeoutError:
                pass
            except EOFError:
                break
            assert time.monotonic() < begin + PATIENCE
        assert program.line() == "ended True"
        program.end()
