#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""What Python costs beside C: `make bench-python`.

Streams of samples between a node in C and a program in C, in Python by arrays, and in Python by a plain loop over the raw
calls, in turn. The best of several runs counts: whatever else the machine does makes a run slower, none faster. Then one
sample at a time, in one process. Prints a table, and writes each run's figure as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List

import villas_ext
from villas_ext import abi

VECTOR, VALUES = 64, 16
SAMPLES, RUNS = 1_000_000, 7
RAW_SAMPLES = 30_000
ROUNDS = 20_000
CPUS = sorted(os.sched_getaffinity(0))


def node(tool: str, role: str, name: str, samples: int) -> "subprocess.Popen[str]":
    process = subprocess.Popen([tool, role, name, "1", str(samples), str(VECTOR), str(VALUES)], stdout=subprocess.PIPE, text=True)
    # A CPU for either side: the node's, and that of this process and of the programs that stand in for it.
    os.sched_setaffinity(process.pid, {CPUS[-1] if role in ("source", "sink") else CPUS[0]})
    return process


def rate(process: "subprocess.Popen[str]") -> float:
    """What the receiving side measured, in samples/s."""
    out, _ = process.communicate(timeout=120)
    if process.returncode:
        raise SystemExit(f"status {process.returncode} of {process.args}")
    return float(out or 0)


def name() -> str:
    return f"/villas-bench-py-{os.getpid()}"


def c_read(tool: str) -> float:
    source = node(tool, "source", name(), SAMPLES)
    measured = rate(node(tool, "read", name(), SAMPLES))
    rate(source)
    return measured


def c_write(tool: str) -> float:
    sink = node(tool, "sink", name(), SAMPLES)
    rate(node(tool, "write", name(), SAMPLES))
    return rate(sink)


def read_array(tool: str) -> float:
    source, done, start, first, total = node(tool, "source", name(), SAMPLES), 0, 0.0, 0, 0.0
    with villas_ext.open(name(), wait=True) as shm:
        while done < SAMPLES:
            array = shm.read_array(VECTOR)
            total += float(array.values[-1, -1])
            if array.sequence[-1] != done + len(array) - 1:
                raise SystemExit("a sample is missing")
            done += len(array)
            if not start:
                start, first = time.perf_counter(), done
        took = time.perf_counter() - start
    rate(source)
    return (done - first) / took


def write_array(tool: str) -> float:
    import numpy

    sink = node(tool, "sink", name(), SAMPLES)
    values = (numpy.arange(VECTOR * VALUES, dtype=numpy.float32) % 7).reshape(VECTOR, VALUES)
    with villas_ext.open(name(), wait=True) as shm:
        for done in range(0, SAMPLES, VECTOR):
            shm.write_array(values, sequence=done)
    return rate(sink)


def raw_open(lib: Any) -> Any:
    while True:
        shm = lib.shmem_shared_open(name().encode(), None)
        if shm:
            return shm
        time.sleep(0.005)


def raw_read(tool: str) -> float:
    lib = abi.library()
    source, shm = node(tool, "source", name(), RAW_SAMPLES), raw_open(lib)
    smps, done, start, first = (ctypes.POINTER(abi.struct_sample) * VECTOR)(), 0, 0.0, 0
    rows, numbers, times = [], [], []
    while done < RAW_SAMPLES:
        n = lib.shmem_shared_read_timeout(shm, smps, VECTOR, None)
        for smp in smps[:n]:
            s = smp.contents
            rows = [d.f for d in abi.sample_data(s)]
            numbers = [s.sequence]
            times = [(t.tv_sec, t.tv_nsec) for t in (s.ts.origin, s.ts.received, s.ts.sent)]
        lib.sample_put_many(smps, n)
        done += n
        if not start:
            start, first = time.perf_counter(), done
    took = time.perf_counter() - start
    lib.shmem_shared_close(shm, None)
    rate(source)
    assert rows and numbers and times
    return (done - first) / took


def raw_write(tool: str) -> float:
    lib = abi.library()
    sink, shm = node(tool, "sink", name(), RAW_SAMPLES), raw_open(lib)
    smps, row = (ctypes.POINTER(abi.struct_sample) * VECTOR)(), [float(i % 7) for i in range(VALUES)]
    done = 0
    while done < RAW_SAMPLES:
        n = lib.sample_alloc(shm.contents.pool, smps, VECTOR)
        now = divmod(time.time_ns(), 1_000_000_000)
        for i, smp in enumerate(smps[:n]):
            s = smp.contents
            s.sequence, s.length, s.format = done + i, VALUES, 0
            for t in (s.ts.origin, s.ts.received, s.ts.sent):
                t.tv_sec, t.tv_nsec = now
            for d, value in zip(abi.sample_data(s), row):
                d.f = value
        if n and lib.shmem_shared_write_timeout(shm, smps, n, None) != n:
            raise SystemExit("write")
        done += n
    lib.shmem_shared_close(shm, None)
    return rate(sink)


def one_by_one(_: str) -> float:
    """Seconds of a round: read a sample and write it. Both sides take turns in this process, so nothing waits."""
    with villas_ext.Node(name(), polling=True) as there, villas_ext.open(name()) as here:
        there.write(there.alloc([0.0] * VALUES))
        start = time.perf_counter()
        for _ in range(ROUNDS):
            here.write(here.read())
            there.write(there.read())
        return (time.perf_counter() - start) / ROUNDS / 2


def one_by_one_raw(_: str) -> float:
    lib, smp = abi.library(), (ctypes.POINTER(abi.struct_sample) * 1)()
    options = abi.SHMEM_NODE_OPTIONS_INIT()
    options.polling = 1
    there = lib.shmem_node_create(name().encode(), ctypes.byref(options))
    here = lib.shmem_shared_open(name().encode(), None)
    lib.sample_alloc(lib.shmem_node_pool(there), smp, 1)
    lib.shmem_node_write(there, smp, 1)
    start = time.perf_counter()
    for _ in range(ROUNDS):
        lib.shmem_shared_read(here, smp, 1)
        lib.shmem_shared_write(here, smp, 1)
        lib.shmem_node_read(there, smp, 1)
        lib.shmem_node_write(there, smp, 1)
    took = time.perf_counter() - start
    lib.shmem_shared_close(here, None)
    lib.shmem_node_close(there)
    return took / ROUNDS / 2


def in_turn(tool: str, ways: Dict[str, Callable[[str], float]]) -> Dict[str, List[float]]:
    measured: Dict[str, List[float]] = {way: [] for way in ways}
    for _ in range(RUNS):
        for way, run in ways.items():
            measured[way].append(run(tool))
    return measured


def main() -> None:
    tool, out = sys.argv[1], sys.argv[2]
    os.sched_setaffinity(0, {CPUS[0]})
    results: Dict[str, Any] = {"vector": VECTOR, "values": VALUES, "python": sys.version.split()[0]}
    print(f"streams of {VECTOR} samples x {VALUES} values, polling, best of {RUNS} runs")
    print(f"{'':28}{'samples/s':>12}{'median':>12}{'of C':>8}")
    for what, ways in (("read", {"C": c_read, "read_array": read_array, "raw ctypes loop": raw_read}),
                       ("write", {"C": c_write, "write_array": write_array, "raw ctypes loop": raw_write})):
        results[what] = measured = in_turn(tool, ways)
        for way, rates in measured.items():
            ratio = max(rates) / max(measured["C"])
            print(f"{what + ', ' + way:28}{max(rates):12.0f}{statistics.median(rates):12.0f}{ratio:8.3f}")
    print(f"\n{'one sample at a time':28}{'us':>12}{'median':>12}")
    results["round"] = in_turn(tool, {"read() and write()": one_by_one, "raw ctypes calls": one_by_one_raw})
    for way, times in results["round"].items():
        print(f"{way:28}{min(times) * 1e6:12.2f}{statistics.median(times) * 1e6:12.2f}")
    with open(out, "w") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
