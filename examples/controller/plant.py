#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""A node that simulates a plant: the current in a coil, which a controller sets by the voltage. plant.py NAME [STEPS]

Sample k tells the controller the current after k ms (value 0, in A) and the set point (value 1, in A). The controller
answers with the voltage (value 0, in V) for the next millisecond. The plant waits for each answer, so the loop is exact
however fast either side is. After half of the time the coil has grown hot: its resistance doubles.
"""

import sys

import villas_ext

STEP = 0.001  # s
INDUCTANCE = 0.05  # H
RESISTANCE = 2.0  # ohm, cold
LIMIT = 100.0  # V, what the supply can give
SET_POINT = 10.0  # A


def simulate(node: villas_ext.Node, steps: int) -> list[float]:
    """The current after each step."""
    current, currents = 0.0, []
    for k in range(steps):
        node.write(node.alloc([current, SET_POINT], sequence=k))
        with node.read(timeout=5) as answer:
            if answer.sequence != k:
                raise SystemExit(f"step {k}: the controller answered step {answer.sequence}")
            voltage = min(max(answer[0], -LIMIT), LIMIT)
        resistance = RESISTANCE if k < steps // 2 else 2 * RESISTANCE
        current += STEP / INDUCTANCE * (voltage - resistance * current)
        currents.append(current)
    return currents


def main() -> None:
    name, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with villas_ext.Node(name, samplelen=2) as node:
        node.accept()
        currents = simulate(node, steps)
    cold, hot = currents[:steps // 2], currents[steps // 2:]
    print(f"cold: {cold[-1]:.3f} A, at most {max(cold):.3f} A; hot: {hot[-1]:.3f} A, at least {min(hot):.3f} A")


if __name__ == "__main__":
    main()
