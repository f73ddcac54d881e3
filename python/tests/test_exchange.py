# SPDX-License-Identifier: Apache-2.0

"""Exchanges between processes: with nodes and programs in C, Python, and the command."""

from __future__ import annotations

import pathlib
import re
import sys
import textwrap
from typing import Any

import pytest
import villas_ext
from conftest import BUILD, PATIENCE, ROOT, appears

ECHO = {
    "one by one": """
        with villas_ext.open(name) as shm:
            for sample in shm:
                shm.write(sample)
    """,
    "many": """
        with villas_ext.open(name) as shm:
            while True:
                try:
                    shm.write_many(shm.read_many(64))
                except EOFError:
                    break
    """,
    "copies": """
        with villas_ext.open(name) as shm:
            for sample in shm:
                copy = sample.copy()
                sample.release()
                shm.write(shm.alloc(copy, timeout=10))
    """,
    "arrays": """
        with villas_ext.open(name) as shm:
            while True:
                try:
                    shm.write_array(shm.read_array(64))
                except EOFError:
                    break
    """,
    "arrays without copy": """
        with villas_ext.open(name) as shm:
            while True:
                try:
                    shm.write_array(shm.read_array(64, copy=False))
                except EOFError:
                    break
    """,
}


@pytest.mark.parametrize("way", ECHO)
def test_a_node_in_c_gets_every_field_back(region: str, polling: bool, way: str, python: Any, start: Any, c_program: Any) -> None:
    node = start(c_program("exchange/exchange.c"), "node", region, int(polling), 20000, 50)
    appears(f"/dev/shm{region}")
    program = python(ECHO[way], region)
    assert "received 20000 bad 0 free 512 of 512" in node.end()
    program.end()


def test_a_million_samples(region: str, python: Any, start: Any, c_program: Any) -> None:
    node = start(c_program("exchange/exchange.c"), "node", region, 0, 1000000, 64)
    appears(f"/dev/shm{region}")
    program = python(ECHO["arrays"], region)
    assert "received 1000000 bad 0 free 512 of 512" in node.end()
    program.end()


def test_a_program_in_c_gives_every_field_back(region: str, polling: bool, start: Any, c_program: Any) -> None:
    with villas_ext.Node(region, queuelen=64, samplelen=3, polling=polling) as node:
        program = start(c_program("exchange/exchange.c"), "program", region, 0, 0, 16)
        node.accept(timeout=PATIENCE)
        sent = 0
        for got in range(3000):
            while sent < min(3000, got + 60):
                sample = node.alloc([sent, 0, -sent / 2], sequence=sent, ts_origin=sent * 10**9 + 999_999_999, ts_sent=-sent)
                sample.set_int(1, -sent)
                node.write(sample, timeout=PATIENCE)
                sent += 1
            with node.read(timeout=PATIENCE) as back:
                assert (back.sequence, list(back)) == (got, [float(got), -got, -got / 2])
                assert (back.ts_origin, back.ts_sent) == (got * 10**9 + 999_999_999, -got)
    program.end()


def test_python_on_both_sides(region: str, polling: bool, python: Any) -> None:
    count, vector = 20000, 64
    with villas_ext.Node(region, queuelen=128, samplelen=2, polling=polling) as node:
        program = python("""
            with villas_ext.open(name) as shm:
                done = 0
                while done < int(sys.argv[2]):
                    array = shm.read_array(64, timeout=60)
                    numbers = range(done, done + len(array))
                    assert list(array.sequence) == list(numbers), (done, array.sequence)
                    assert array.values.tolist() == [[float(i), -i / 2] for i in numbers], done
                    shm.write_array([[i] for i in numbers], sequence=done)
                    done += len(array)
            """, region, count)
        node.accept(timeout=PATIENCE)
        sent = got = 0
        while got < count:
            if sent < count and sent - got < 128:
                n = min(vector, count - sent)
                sent += node.write_array([[i, -i / 2] for i in range(sent, sent + n)], sequence=sent, timeout=PATIENCE)
            else:
                back = node.read_array(vector, timeout=PATIENCE)
                numbers = range(got, got + len(back))
                assert list(back.sequence) == list(numbers)
                assert back.values.tolist() == [[float(i)] for i in numbers]
                got += len(back)
        program.end()


@pytest.mark.parametrize("way", ["one by one", "arrays"])
def test_the_command_starts_a_program_in_python(region: str, polling: bool, way: str, tmp_path: pathlib.Path, start: Any) -> None:
    echo = tmp_path / "echo.py"
    echo.write_text("import sys, villas_ext\nname = sys.argv[1]\n" + textwrap.dedent(ECHO[way]))
    conf = tmp_path / "node.conf"
    conf.write_text(f'name = "{region}"\npolling = {str(polling).lower()}\n'
                    f'exec = [ "{sys.executable}", "{echo}", "{region}" ]\n')
    command, sent, returned = BUILD / "villas-shmem", tmp_path / "sent.villas", tmp_path / "returned.villas"
    start(command, "gen", "--fast", "--wave", "mixed", "--values", 6, "--limit", 20000, "--out", sent).end()
    start(command, "node", conf, "--in", sent, "--out", returned, "--quiet").end()
    told = start(command, "compare", sent, returned, "--float32").end()  # its status is 1 if there is a difference
    assert re.search(r"compared +20000\n", told)


def test_golden_regions_of_the_original_open(region: str, start: Any) -> None:
    """Its node is stood in for by a process that maps the region and arrives at the barrier."""
    for mode in ("polling", "signalled"):
        content = (ROOT / f"internal/layout/testdata/a-32-4-{mode}.bin").read_bytes()
        path = pathlib.Path(f"/dev/shm{region}")
        path.write_bytes(content)
        node = start(sys.executable, "-c", textwrap.dedent("""
            import ctypes, mmap, sys, time
            from villas_ext import abi
            file = open("/dev/shm" + sys.argv[1], "r+b")
            memory = mmap.mmap(file.fileno(), 0)
            shm = abi.struct_shmem_shared.from_buffer(memory, 80)
            ctypes.CDLL(None).pthread_barrier_wait(ctypes.byref(shm.start_bar))
            """), region)
        with villas_ext.open(region, timeout=PATIENCE) as shm:
            node.end()
            samples = shm.read_many(8, timeout=PATIENCE)
            assert [s.sequence for s in samples] == [100, 101, 102]
            for i, sample in enumerate(samples):
                with sample:
                    assert [sample[0], sample[1]] == [1.5 * (i + 1), -2.25 * (i + 1)]
                    assert sample.is_int(2) and sample[2] & 0xFFFFFFFF == 0xCAFE0000 + i
                    assert sample.ts_origin == (1493000000 + i) * 10**9 + 111111111 * (i + 1)
        path.unlink()
