# SPDX-License-Identifier: Apache-2.0

"""Both sides of a VILLASnode shared memory region, and one of a pair.

An external program opens the region of a node and reads and writes samples::

    import villas_ext

    with villas_ext.open("/villas1") as shm:
        for sample in shm:
            print(sample.sequence, sample.values)

:class:`Node` is the node's side. :func:`open_pair` exchanges samples with a VILLASnode of today. :mod:`villas_ext.abi` is the C interface as it is.
"""

from . import abi
from ._arrays import SampleArray
from ._library import load
from ._node import Node
from ._pair import Pair, PairArray, PairSample, open_pair
from ._program import Program, open
from ._sample import Sample

__all__ = ["Node", "Pair", "PairArray", "PairSample", "Program", "Sample", "SampleArray", "abi", "load", "open", "open_pair"]
__version__ = "1.0.0"
