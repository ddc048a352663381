"""From the times of two samples to the time of the whole."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls


def extrapolate(causes: Sequence[Sequence[float]], seconds: Sequence[float], whole: Sequence[float]) -> float:
    """Seconds of the whole, as a sum of its causes, each with a cost that is not negative.

    `causes` has a line for each measurement: the amount of each cause, such as 1 for what is done once and the share of
    the text; `whole` has the amounts of the whole. Where the measurements leave no cost to what grows, the larger one
    is scaled by its last cause, which overestimates rather than calls the whole free.

    >>> extrapolate([(1, 0.1), (1, 0.4)], [2.0, 5.0], (1, 1.0))
    11.0
    >>> extrapolate([(1, 0.1), (1, 0.4)], [2.0, 2.0], (1, 1.0))
    5.0
    """
    if tuple(causes[-1]) == tuple(whole):
        return seconds[-1]  # measured
    costs, _ = nnls(np.array(causes, float), np.array(seconds, float))
    grows = [amount > before for amount, before in zip(whole, causes[-1], strict=True)]
    if not any(cost > 0 for cost, growing in zip(costs, grows, strict=True) if growing) or seconds[-1] <= seconds[0]:
        return round(seconds[-1] * whole[-1] / causes[-1][-1], 6)
    return round(float(costs @ np.array(whole, float)), 6)
