"""Mixing weights, partners and mixtures of rows."""
from ._native.mixup import *  # noqa: F401, F403
from ._records import BarycentreGradient, MixupGradient as MixGradient  # noqa: F401
