"""Student's t, from `scipy.special`.

That takes 0.35 s to import (`python -X importtime -c "import scipy.special"`), `scipy.stats` a second: tables of many
records take the first, and only when they have something to ask. What is asked again is remembered.
"""

import functools
import math


@functools.cache
def quantile(p: float, degrees: float) -> float:
    """Below which t falls with probability p."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, p))


def above(t: float, degrees: float) -> float:
    """The probability of more than t; t may be infinite."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -t))


def ratio(mean: float, error: float) -> float:
    """mean / error, where an error of 0 makes any difference certain and none no evidence at all."""
    if error == 0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / error
