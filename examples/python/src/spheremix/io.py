"""Files of embeddings: .npy, .fvecs, .fbin."""
from ._native.io import *  # noqa: F401, F403
