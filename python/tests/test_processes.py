# SPDX-License-Identifier: Apache-2.0

"""fork, spawn, and programs that come and go."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from typing import Any

import pytest
import villas_ext
from conftest import PATIENCE, Pair, mapped_inodes


def echo_in_child(name: str) -> None:
    with villas_ext.open(name) as shm:
        for sample in shm:
            shm.write(sample)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_child_opens(method: str, region: str, polling: bool) -> None:
    with villas_ext.Node(region, polling=polling) as node:
        child = multiprocessing.get_context(method).Process(target=echo_in_child, args=(region,))
        child.start()
        node.accept(timeout=PATIENCE)
        for i in range(500):
            node.write(node.alloc([i], sequence=i))
            with node.read(timeout=PATIENCE) as sample:
                assert sample.sequence == i
    child.join(PATIENCE)
    assert child.exitcode == 0


def test_what_a_child_inherits_stays_the_parents(pair: Pair) -> None:
    pair.node.write(pair.node.alloc([1, 2]))
    sample = pair.shm.read()
    with villas_ext.Node(pair.node.name + "-closed") as closed:
        of_closed = closed.alloc([1])
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for use in (lambda: pair.shm.read(timeout=0), lambda: pair.shm.alloc(), lambda: sample.values, lambda: sample[0],
                        lambda: pair.node.accept(timeout=0), lambda: pair.shm.write_array([[1.0]])):
                with pytest.raises(ValueError, match="forked"):
                    use()
            with pytest.raises(ValueError, match="closed"):
                of_closed[0]
            sample.release()
            pair.shm.close()
            with pair.node:
                pass
            del sample
            gc.collect()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    assert pair.free() == 127 and list(sample) == [1.0, 2.0]
    pair.shm.write(sample)
    with pair.node.read(timeout=PATIENCE) as back:
        assert list(back) == [1.0, 2.0]


def test_a_fork_in_the_middle_of_everything(pair: Pair) -> None:
    """Another thread holds locks, reads and writes while children fork, open regions of their own and end."""
    import threading

    stop = False

    def work() -> None:
        while not stop:
            pair.node.write_array([[1.0]] * 16, timeout=PATIENCE)
            pair.shm.read_array(16, timeout=PATIENCE)

    thread = threading.Thread(target=work)
    thread.start()
    for i in range(10):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(PATIENCE)
                own = Pair(f"{pair.node.name}-{i}")
                own.node.write(own.node.alloc([i]))
                assert list(own.shm.read()) == [float(i)]
                own.close()
                pair.shm.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
    stop = True
    thread.join(PATIENCE)


def test_sides_and_pickle(pair: Pair) -> None:
    import pickle

    for side in (pair.shm, pair.node):
        with pytest.raises(TypeError, match="open the region in the other process"):
            pickle.dumps(side)


def test_programs_come_and_go(region: str, polling: bool, python: Any) -> None:
    with villas_ext.Node(region, queuelen=8, polling=polling) as node:
        kept = None
        for kill in (False, True, False):
            program = python("""
                shm = villas_ext.open(name)
                held = [shm.alloc([1]) for _ in range(3)]
                shm.write(shm.alloc([7], sequence=7))
                print("sent")
                if sys.stdin.readline() == "close\\n":
                    for sample in held:
                        sample.release()
                    shm.close()
                else:
                    time.sleep(60)
                """, region)
            node.accept(timeout=PATIENCE)
            assert program.line() == "sent"
            sample = node.read(timeout=PATIENCE)
            if kill:
                program.popen.send_signal(signal.SIGKILL)
                program.end(-signal.SIGKILL)
                with pytest.raises(OSError):
                    node.read(timeout=PATIENCE)
            else:
                program.popen.communicate("close\n", timeout=PATIENCE)
                with pytest.raises(EOFError):
                    node.read(timeout=PATIENCE)
            with pytest.raises(TimeoutError):
                node.accept(timeout=0)
            # A sample of the former region: still there, but not to be written any more.
            assert list(sample) == [7.0] and sample.values.tolist() == [7.0]
            with pytest.raises(OSError):
                node.write(sample)
            if kept is not None:
                assert list(kept) == [7.0]
                kept.release()
            kept = sample
            assert len([node.alloc().release() for _ in range(16)]) == 16
        kept.release()


def test_a_former_region_is_unmapped_when_its_samples_are_back(region: str) -> None:
    with villas_ext.Node(region) as node:
        first = os.stat(f"/dev/shm{region}").st_ino
        with villas_ext.open(region) as shm:
            node.accept(timeout=PATIENCE)
            shm.write(shm.alloc([1, 2]))
        view = (sample := node.read()).values
        with pytest.raises(TimeoutError):
            node.accept(timeout=0)
        with pytest.warns(ResourceWarning):
            del sample
        with villas_ext.open(region):
            node.accept(timeout=PATIENCE)
        with pytest.raises(TimeoutError):
            node.accept(timeout=0)
        assert first in mapped_inodes() and view.tolist() == [1.0, 2.0]
        with pytest.raises(BufferError):
            node.close()
        del view
        with villas_ext.open(region):
            node.accept(timeout=PATIENCE)
        with pytest.raises(TimeoutError):
            node.accept(timeout=0)
        assert first not in mapped_inodes()


def test_an_open_object_at_the_end_of_a_process_is_closed(region: str, python: Any) -> None:
    with villas_ext.Node(region) as node:
        program = python("shm = villas_ext.open(name)\nshm.write(shm.alloc([1]))\nprint('end')", region)
        node.accept(timeout=PATIENCE)
        assert "never closed" in program.end()
        node.read(timeout=PATIENCE).release()
        with pytest.raises(EOFError):
            node.read(timeout=PATIENCE)
        time.sleep(0)
