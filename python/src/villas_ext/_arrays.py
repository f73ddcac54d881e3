# SPDX-License-Identifier: Apache-2.0

"""Many samples at once, as arrays: with numpy, or with the standard library alone."""

from typing import TYPE_CHECKING

from ._memory import numpy

if TYPE_CHECKING:
    from ._arrays_numpy import Rows, SampleArray, Table, Times
elif numpy is not None:
    from ._arrays_numpy import Rows, SampleArray, Table
else:
    from ._arrays_plain import Rows, SampleArray, Table

__all__ = ["Rows", "SampleArray", "Table", "Times"]
