#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Plots the samples of a node while they come. live_plot.py NAME [--seconds S] [--save IMAGE]

    villas-shmem gen --region /villas1 --rate 1000 --wave sine,square --amplitude 325,100 & python3 examples/plot/live_plot.py /villas1
"""

import argparse
import time

import matplotlib
import numpy
import villas_ext


def main() -> None:
    parser = argparse.ArgumentParser(description="Plots the samples of a node while they come.")
    parser.add_argument("name", help="of the region, such as /villas1")
    parser.add_argument("--seconds", type=float, default=2, help="how much of the past to show")
    parser.add_argument("--save", help="image to write once it is full, without a window")
    options = parser.parse_args()
    if options.save:
        matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.set_xlabel("time in s")
    lines, times, values = [], numpy.empty(0), numpy.empty((0, 0))
    with villas_ext.open(options.name) as shm:
        end = time.monotonic() + options.seconds
        while not options.save or time.monotonic() < end:
            try:
                samples = shm.read_array(100000, timeout=0.04)
            except TimeoutError:
                pass
            except EOFError:
                break
            else:
                if not lines:
                    values = numpy.empty((0, samples.values.shape[1]))
                    lines = [axes.plot([], [], label=f"signal {i}")[0] for i in range(values.shape[1])]
                    axes.legend(loc="upper right")
                times = numpy.concatenate([times, samples.ts_origin / 1e9])
                values = numpy.concatenate([values, samples.values])
                recent = times > times[-1] - options.seconds
                times, values = times[recent], values[recent]
                for line, signal in zip(lines, values.T):
                    line.set_data(times - times[-1], signal)
                axes.relim()
                axes.autoscale_view()
            if not options.save:
                if not pyplot.get_fignums():  # the window was closed
                    return
                pyplot.pause(0.02)
    if options.save:
        figure.savefig(options.save)
        print(f"{options.save}: {len(times)} samples, {len(lines)} signals")
    else:
        pyplot.show()


if __name__ == "__main__":
    main()
