# SPDX-License-Identifier: Apache-2.0

"""Many samples at once, as arrays: with numpy, or with the standard library alone."""

from typing import TYPE_CHECKING

from ._memory import numpy

if numpy is not None or TYPE_CHECKING:
    from ._arrays_numpy import Rows, SampleArray, Table, Times
else:
    from ._arrays_plain import Rows, SampleArray, Table, Times

__all__ = ["Rows", "SampleArray", "Table", "Times"]
