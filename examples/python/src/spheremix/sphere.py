"""Points and batches of rows on the unit sphere."""
from ._native.sphere import *  # noqa: F401, F403
from ._records import DistanceGradient, FrechetMean, SlerpGradient  # noqa: F401
