"""Units as independent as a text has them."""

import numpy as np

STRETCHES = 100  # of a text whose windows stand in order


def stretches(windows_NK: np.ndarray, most: int = STRETCHES) -> np.ndarray:
    """[..., N, K] -> [..., most, K]: sums over neighbouring windows, as nearly equal in number as they can be.

    What an architecture makes of a window it often makes of the next one as well, which tests over windows take for
    two pieces of evidence. Longer stretches have less in common, and a sum over them is still a sum over the text. Up
    to `most` windows stay as they are.
    """
    N = windows_NK.shape[-2]
    if most >= N:
        return windows_NK
    starts = np.arange(most) * N // most
    return np.add.reduceat(windows_NK, starts, axis=-2)
