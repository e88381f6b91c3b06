"""What embeddings are like: alignment, uniformity, gaps, retrieval, calibration, spectra."""
from ._native.metrics import *  # noqa: F401, F403
from ._records import (  # noqa: F401
    AlignmentGradient,
    AveragePrecisionResult,
    CalibrationBin,
    ContrastiveCalibrationResult,
    EmbeddingArithmeticResult,
    HubnessResult,
    JudgedRetrievalResult,
    Judgement,
    ModalityGapGradient,
    NearestResult,
    RetrievalBothResult,
    RetrievalResult,
    UniformityGradient,
)
