"""Types of the arrays that pass between the files of this room."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Keys: TypeAlias = npt.NDArray[np.uint64]
"""64-bit hashes of texts; 0 stands for an empty one."""
Codes: TypeAlias = npt.NDArray[np.uint8]
"""Indices into a tuple of reasons; 0 for a post that is kept."""
Indices: TypeAlias = npt.NDArray[np.integer[Any]]
"""Row numbers, offsets or counts."""
Flags: TypeAlias = npt.NDArray[np.bool_]
