# SPDX-License-Identifier: Apache-2.0

"""The roles of tests/c/pair/standin.c in Python; what they are and which settings there are is told there; also timeout
(milliseconds), vector, arrays=1 (send and echo many samples at once, with numpy, without marks of frames), and again=1: open
again when the other side dies."""

import errno
import struct
import sys
import time

import villas_ext
from villas_ext import abi

settings = {"ql": 256, "sl": 8, "count": 1000, "window": 64, "timeout": 30000, "vector": 16, "arrays": 0, "again": 0}
FLAGS = abi.VILLAS_PAIR_HAS_ORIGIN | abi.VILLAS_PAIR_HAS_RECEIVED | abi.VILLAS_PAIR_HAS_SEQUENCE | abi.VILLAS_PAIR_HAS_DATA
VALUES = struct.Struct("=dqq2f"), 4, struct.Struct("=" + "q" * 4)


def bits_of(i):
    """The eight bytes of each value of sample i, as integers: double, integer, boolean and complex in turns."""
    values = []
    for j in range(0, settings["sl"], 4):
        packed = VALUES[0].pack(1.5 * i + j, -7000000000 * (i + 1) + j + 1, (i + j + 2) & 1, i % 1000 + 0.5, j + 3 - i % 77)
        values += VALUES[2].unpack(packed)
    return values[:settings["sl"]]


def times_of(i):
    return (1700000000 + i // 1000) * 10**9 + i * 7919 % 10**9, (1700000000 + i // 1000) * 10**9 + 222222222


def flags_of(i):
    return FLAGS | (0 if i % 10 else abi.VILLAS_PAIR_NEW_FRAME)


def make(pair, i):
    origin, received = times_of(i)
    sample = pair.alloc(sequence=i, ts_origin=origin, ts_received=received, timeout=30)
    sample.length = settings["sl"]
    sample.integers[:] = villas_array(bits_of(i))
    sample.flags = flags_of(i)
    return sample


def villas_array(numbers):
    """As integers of 64 bits, with numpy or without."""
    try:
        import numpy
        return numpy.array(numbers, numpy.int64)
    except ImportError:
        import array
        return memoryview(array.array("q", numbers))


def right(sample, i):
    return (sample.sequence == i and sample.flags == flags_of(i) and (sample.ts_origin, sample.ts_received) == times_of(i)
            and sample.integers.tolist() == bits_of(i))


def free(pair):
    """How many samples of our own are free: all of them, where none is lost."""
    time.sleep(0.05)
    samples = []
    try:
        while True:
            samples.append(pair.alloc())
    except OSError:
        pass
    for sample in samples:
        sample.release()
    return len(samples)


def echo(pair, patience):
    total = 0
    try:
        while True:
            samples = pair.read_many(settings["vector"], timeout=patience)
            back = [pair.alloc(sample, timeout=patience) for sample in samples]
            for sample in samples:
                sample.release()
            total += len(samples)
            pair.write_many(back, timeout=patience)
    except EOFError:
        pass
    print(f"echoed {total} free {free(pair)} of {settings['ql']}")
    return 0


def send(pair, patience):
    sent = got = bad = 0
    while got < settings["count"]:
        n = min(settings["count"] - sent, settings["window"] - (sent - got), settings["vector"])
        if n > 0:
            sent += pair.write_many([make(pair, sent + i) for i in range(n)], timeout=patience)
        for sample in pair.read_many(settings["vector"], timeout=patience):
            bad += not right(sample, got)
            got += 1
            sample.release()
    print(f"sent {sent} received {got} bad {bad} free {free(pair)} of {settings['ql']}")
    return bad != 0


def echo_arrays(pair, patience):
    total = 0
    try:
        while True:
            total += pair.write_array(pair.read_array(settings["window"], timeout=patience), timeout=patience)
    except EOFError:
        pass
    print(f"echoed {total} free {free(pair)} of {settings['ql']}")
    return 0


def send_arrays(pair, patience):
    import numpy
    count, columns, number = settings["count"], numpy.arange(settings["sl"]), numpy.arange(settings["count"])[:, None]
    values = numpy.zeros((count, settings["sl"]), numpy.int64)
    values.view(numpy.float64)[:, 0::4] = 1.5 * number + columns[0::4]
    values[:, 1::4] = -7000000000 * (number + 1) + columns[1::4]
    values[:, 2::4] = number + columns[2::4] & 1
    values.view(numpy.complex64)[:, 3::4] = number % 1000 + 0.5 + 1j * (columns[3::4] - number % 77)
    seconds = (1700000000 + number[:, 0] // 1000) * 10**9
    origin, received = seconds + number[:, 0] * 7919 % 10**9, seconds + 222222222
    sent = got = bad = 0
    while got < count:
        rows = slice(sent, min(count, got + settings["window"]))
        if rows.stop > sent:
            sent += pair.write_array(values[rows], sequence=sent, ts_origin=origin[rows], ts_received=received[rows], timeout=patience)
        back = pair.read_array(settings["window"], timeout=patience)
        rows = slice(got, got + len(back))
        wrong = (back.integers != values[rows]).any(axis=1) | (back.sequence != number[rows, 0]) | (back.flags != FLAGS)
        wrong |= (back.ts_origin != origin[rows]) | (back.ts_received != received[rows])
        bad += int(wrong.sum())
        got += len(back)
    print(f"sent {sent} received {got} bad {bad} free {free(pair)} of {settings['ql']}")
    return bad != 0


def source(pair, patience):
    for i in range(settings["count"]):
        pair.write(make(pair, i), timeout=patience)
    print(f"sent {settings['count']}")
    return 0


def sink(pair, patience):
    got = bad = 0
    for sample in pair:
        bad += not right(sample, got)
        got += 1
    print(f"received {got} bad {bad}")
    return bad != 0


def main(role, own, other, *arguments):
    mode = "polling"
    for argument in arguments:
        name, value = argument.split("=")
        if name == "mode":
            mode = value
        else:
            settings[name] = int(value)
    patience = settings["timeout"] / 1000
    while True:
        try:
            with villas_ext.open_pair(own, other, patience, queuelen=settings["ql"], samplelen=settings["sl"],
                                      polling=mode == "polling") as pair:
                roles = {"echo": echo, "send": send, "source": source, "sink": sink}
                if settings["arrays"]:
                    roles.update(echo=echo_arrays, send=send_arrays)
                return roles[role](pair, patience)
        except OSError as failure:
            if not settings["again"] or failure.errno != errno.EOWNERDEAD:
                print(failure)
                return 1


sys.exit(main(*sys.argv[1:]))
