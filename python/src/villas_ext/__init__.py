# SPDX-License-Identifier: Apache-2.0

"""Both sides of a VILLASnode shared memory region.

An external program opens the region of a node and reads and writes samples::

    import villas_ext

    with villas_ext.open("/villas1") as shm:
        for sample in shm:
            print(sample.sequence, sample.values)

:class:`Node` is the node's side. :mod:`villas_ext.abi` is the C interface as it is.
"""

from . import abi
from ._arrays import SampleArray
from ._library import load
from ._node import Node
from ._program import Program, open
from ._sample import Sample

__all__ = ["Node", "Program", "Sample", "SampleArray", "abi", "load", "open"]
__version__ = "1.0.0"
