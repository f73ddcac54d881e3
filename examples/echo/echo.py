#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An external program: gives back every sample of the node. echo.py /villas1"""
import sys
import villas_ext

with villas_ext.open(sys.argv[1]) as shm:
    for sample in shm:
        shm.write(sample)
