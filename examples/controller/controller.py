#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""A PI controller as an external program: reads measurement and set point, writes the actuator value. controller.py NAME"""

import sys

import villas_ext

PROPORTIONAL = 5.0  # V/A
INTEGRAL = 200.0  # V/(A s)
STEP = 0.001  # s
LIMIT = 100.0  # V


def main() -> None:
    integral = 0.0
    with villas_ext.open(sys.argv[1], wait=True, timeout=10) as shm:
        for measurement in shm:
            current, set_point = measurement
            error = set_point - current
            voltage = PROPORTIONAL * error + integral
            if abs(voltage) < LIMIT:  # do not wind up while the supply gives all it can
                integral += INTEGRAL * STEP * error
            shm.write(shm.alloc([voltage], sequence=measurement.sequence))


if __name__ == "__main__":
    main()
