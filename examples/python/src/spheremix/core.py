"""Random numbers that depend on (seed, step, item) alone."""
from ._native.core import *  # noqa: F401, F403
