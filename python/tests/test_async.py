# SPDX-License-Identifier: Apache-2.0

"""asyncio: the same object, no busy loop, nothing lost by a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import threading
import time
from typing import Any, List

import pytest
import villas_ext
from conftest import PATIENCE, Pair


def send(pair: Pair, first: int, last: int, pause: float = 0) -> threading.Thread:
    """Samples with numbers from first to last, from another thread."""

    def run() -> None:
        for i in range(first, last + 1):
            pair.node.write(pair.node.alloc([i], sequence=i, timeout=PATIENCE), timeout=PATIENCE)
            if pause:
                time.sleep(random.random() * pause)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_async_iteration_gives_all_in_order_until_the_end(region: str, polling: bool) -> None:
    pair = Pair(region, polling=polling)

    async def main() -> List[int]:
        async with pair.shm as shm:
            return [sample.sequence async for sample in shm]

    thread = send(pair, 1, 2000, 0.0005)
    stop = threading.Thread(target=lambda: (thread.join(), pair.node.close()))
    stop.start()
    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == list(range(1, 2001))
    stop.join()


def test_cancellation_loses_no_sample_and_keeps_the_order(pair: Pair) -> None:
    async def main() -> List[int]:
        numbers, cancelled = [], 0
        while len(numbers) < 800:
            task = asyncio.create_task(pair.shm.read_async())
            await asyncio.sleep(random.random() * 0.002)
            if random.random() < 0.7 and task.cancel():
                cancelled += 1
            try:
                with await task as sample:
                    numbers.append(sample.sequence)
            except asyncio.CancelledError:
                pass
            if random.random() < 0.2:  # not an asynchronous one now and then, right behind a cancelled one
                try:
                    with pair.shm.read(timeout=0.001) as sample:
                        numbers.append(sample.sequence)
                except TimeoutError:
                    pass
        assert cancelled > 5
        return numbers

    thread = send(pair, 0, 799, 0.003)
    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == list(range(800))
    thread.join()
    assert pair.free() == 128


def test_reads_of_all_kinds_in_turn_keep_the_order(region: str, polling: bool, python: Any) -> None:
    """The thread that waited for a cancelled read may be about to take a sample when the next read comes."""
    count = 4000
    with villas_ext.Node(region, queuelen=64, samplelen=1, polling=polling) as node:
        program = python("""
            import random
            with villas_ext.open(name) as shm:
                sent = 0
                while sent < int(sys.argv[2]):
                    n = random.choice((1, 2, 3))  # the thread takes the first of them, others see the next
                    sent += shm.write_many([shm.alloc([i], sequence=i, timeout=60) for i in range(sent, sent + n)], timeout=60)
                    time.sleep(random.random() * 0.0005)
                print("sent")
                sys.stdin.readline()
            """, region, count)
        node.accept(timeout=PATIENCE)

        async def main() -> List[int]:
            numbers: List[int] = []
            while not numbers or numbers[-1] < count - 1:
                task = asyncio.create_task(node.read_async())
                await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    with await task as sample:
                        numbers.append(sample.sequence)
                for _ in range(3):
                    with contextlib.suppress(TimeoutError):
                        with node.read(timeout=random.choice((0, 0, 0.0005))) as sample:
                            numbers.append(sample.sequence)
            return numbers

        numbers = asyncio.run(asyncio.wait_for(main(), PATIENCE))
        assert numbers == list(range(len(numbers)))
        assert program.line() == "sent"
        program.popen.communicate("\n", timeout=PATIENCE)


def test_a_sample_taken_for_a_cancelled_read_is_the_next_ones(pair: Pair) -> None:
    async def main() -> None:
        task = asyncio.create_task(pair.shm.read_async())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        pair.node.write_many([pair.node.alloc([i], sequence=i) for i in range(3)])

    asyncio.run(main())
    array = pair.shm.read_array(3, minimum=3, timeout=PATIENCE)
    assert list(array.sequence) == [0, 1, 2]
    assert pair.free() == 128


def test_no_read_overtakes_the_thread_that_waits(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    take = pair.shm._calls.read

    def take_and_tarry(*arguments: Any) -> int:
        got: int = take(*arguments)
        if got > 0:
            time.sleep(0.2)
        return got

    async def main() -> None:
        task = asyncio.create_task(pair.shm.read_async())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    monkeypatch.setattr(pair.shm._calls, "read", take_and_tarry)
    asyncio.run(main())
    pair.node.write_many([pair.node.alloc([i], sequence=i) for i in range(3)])
    time.sleep(0.1)
    numbers: List[int] = []
    while len(numbers) < 3:
        with contextlib.suppress(TimeoutError), pair.shm.read(timeout=0) as sample:
            numbers.append(sample.sequence)
    assert numbers == [0, 1, 2]


def test_waiting_costs_no_time(region: str) -> None:
    pair = Pair(region)

    async def main() -> float:
        task = asyncio.create_task(pair.shm.read_async())
        await asyncio.sleep(0.1)
        before = time.process_time()
        await asyncio.sleep(1)
        used = time.process_time() - before
        task.cancel()
        return used

    assert asyncio.run(main()) < 0.3
    pair.close()


def test_the_loop_runs_while_samples_come(pair: Pair) -> None:
    """A reader that always finds a sample does not starve the others."""

    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(tick())
        for _ in range(20):
            pair.node.write_array([[0.0]] * 64)
            for _ in range(64):
                (await pair.shm.read_async()).release()
        other.cancel()
        return ticks

    assert asyncio.run(main()) >= 10


def test_many_tasks_share_a_side(pair: Pair) -> None:
    async def main() -> int:
        async def consume() -> int:
            total = 0
            for _ in range(20):
                with await pair.shm.read_async(timeout=PATIENCE) as sample:
                    total += sample.sequence
            return total

        return sum(await asyncio.gather(*(consume() for _ in range(50))))

    thread = send(pair, 1, 1000)
    assert asyncio.run(main()) == 500500
    thread.join()


def test_timeouts_and_writes(pair: Pair) -> None:
    async def main() -> None:
        for seconds in (0, 0.1):
            begin = time.monotonic()
            with pytest.raises(TimeoutError):
                await pair.shm.read_async(timeout=seconds)
            assert seconds <= time.monotonic() - begin < seconds + 4
        with pytest.raises(TimeoutError):
            await pair.shm.read_array_async(5, timeout=0.05)
        for i in range(64):
            await pair.shm.write_async(pair.shm.alloc([i]))
        extra = pair.shm.alloc([64])
        with pytest.raises(TimeoutError):
            await pair.shm.write_async(extra, timeout=0.05)
        task = asyncio.create_task(pair.shm.write_async(extra))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert list(extra) == [64.0]
        task = asyncio.create_task(pair.shm.write_async(extra))
        await asyncio.sleep(0.05)
        array = await pair.node.read_array_async(64)
        assert len(array) == 64
        await task
        with await pair.node.read_async(timeout=PATIENCE) as sample:
            assert list(sample) == [64.0]

    asyncio.run(main())


def test_a_node_accepts_and_serves(region: str, polling: bool, python: Any) -> None:
    async def main() -> None:
        async with villas_ext.Node(region, polling=polling) as node:
            with pytest.raises(TimeoutError):
                await node.accept_async(timeout=0.05)
            for _ in range(2):
                program = python("""
                    import asyncio
                    async def main():
                        async with villas_ext.open(name) as shm:
                            for i in range(100):
                                await shm.write_async(shm.alloc([i], sequence=i))
                                with await shm.read_async(timeout=60) as sample:
                                    assert sample.sequence == i
                    asyncio.run(main())
                    """, region)
                await node.accept_async(timeout=PATIENCE)
                async for sample in node:
                    await node.write_async(sample)
                program.end()

    asyncio.run(main())


def test_a_close_ends_a_waiting_task(pair: Pair) -> None:
    async def main() -> None:
        task = asyncio.create_task(pair.shm.read_async())
        await asyncio.sleep(0.05)
        pair.shm.close()
        with pytest.raises(OSError) as caught:
            await asyncio.wait_for(task, PATIENCE)
        assert caught.value.errno == errno.ECANCELED

    asyncio.run(main())


def test_a_new_event_loop_may_go_on(pair: Pair) -> None:
    async def read() -> int:
        with await pair.shm.read_async(timeout=PATIENCE) as sample:
            return sample.sequence

    for i in range(5):
        timer = threading.Timer(0.02, lambda: pair.node.write(pair.node.alloc([0], sequence=i)))
        timer.start()
        assert asyncio.run(read()) == i
        timer.join()
