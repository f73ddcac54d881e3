# SPDX-License-Identifier: Apache-2.0

"""On PYTHONPATH, this makes numpy missing in the process and in all that it starts."""

import sys

sys.modules["numpy"] = None  # type: ignore[assignment]
