"""What functions return when it is more than one thing: named tuples with the C++ structs' names and fields."""
from typing import Any, List, NamedTuple


class DistanceGradient(NamedTuple):
    """Tangent gradients of geodesic_distance_rows."""

    u: Any
    v: Any


class SlerpGradient(NamedTuple):
    """Tangent gradients of a slerp; t is a number for one t, a vector for one a row."""

    u: Any
    v: Any
    t: Any


class FrechetMean(NamedTuple):
    """The mean, the steps taken and the length of the last."""

    mean: Any
    iterations: int
    residual: float


class MixupGradient(NamedTuple):
    """Gradients of mixup.geodesic and mixup.linear."""

    x: Any
    y: Any
    lambda_: Any


class BarycentreGradient(NamedTuple):
    """Gradients of mixup.barycentre."""

    x: Any
    weights: Any


class AlignmentGradient(NamedTuple):
    """alignment and its gradients."""

    value: float
    x: Any
    y: Any


class UniformityGradient(NamedTuple):
    """uniformity and its gradient."""

    value: float
    x: Any


class ModalityGapGradient(NamedTuple):
    """modality_gap and its gradients."""

    value: float
    x: Any
    y: Any


class RetrievalResult(NamedTuple):
    """recall in [0, 1], one for each k; the median rank; the mean reciprocal rank."""

    recall: List[float]
    median_rank: float
    mrr: float


class RetrievalBothResult(NamedTuple):
    """X asks and Y answers, and the other way round."""

    x_to_y: RetrievalResult
    y_to_x: RetrievalResult


class AveragePrecisionResult(NamedTuple):
    """The mean over queries that have a relevant row, and how many have none."""

    value: float
    skipped: int


class CalibrationBin(NamedTuple):
    """One bin of a reliability diagram."""

    count: int
    accuracy: float
    confidence: float


class ContrastiveCalibrationResult(NamedTuple):
    """Expected calibration errors in both directions, and the bins of their diagrams."""

    x_to_y: float
    y_to_x: float
    x_to_y_bins: List[CalibrationBin]
    y_to_x_bins: List[CalibrationBin]


class EmbeddingArithmeticResult(NamedTuple):
    """The share of right answers, and the image found for each query."""

    accuracy: float
    nearest: Any


class HubnessResult(NamedTuple):
    """Skewness of the occurrences, and the occurrences."""

    skewness: float
    occurrences: Any


class NearestResult(NamedTuple):
    """Rows of Y, nearest first, and their products with the row of X: n x k each."""

    ids: Any
    cosines: Any


class Judgement(NamedTuple):
    """A row of X, a row of Y, and how relevant that is to this."""

    query: int
    answer: int
    grade: float = 1.0


class JudgedRetrievalResult(NamedTuple):
    """Means over the queries that have a relevant row, how many have none, and the values of each."""

    ndcg: float
    map: float
    skipped: int
    queries: Any
    of_ndcg: Any
    of_map: Any


class PairGradient(NamedTuple):
    """A loss of two batches: dL/dX, dL/dY."""

    loss: float
    x: Any
    y: Any


class ContrastiveGradient(NamedTuple):
    """A contrastive loss: dL/dX, dL/dY, dL/d ln(tau) = -dL/d logit_scale."""

    loss: float
    x: Any
    y: Any
    log_temperature: float


class MarginNceGradient(NamedTuple):
    """margin_nce and its gradients."""

    loss: float
    x: Any
    y: Any
    log_temperature: float
    margin: float


class SiglipGradient(NamedTuple):
    """siglip and its gradients."""

    loss: float
    x: Any
    y: Any
    log_temperature: float
    bias: float


class MixGradient(NamedTuple):
    """A loss that mixes: dL/dlambda is a number for one lambda, a vector for one a row."""

    loss: float
    x: Any
    y: Any
    lambda_: Any
    log_temperature: float


class TwoTemperatureGradient(NamedTuple):
    """clip_m2_mix and m3_mix: gradients in both temperatures; of m3_mix lambda_ is a MixLambdas."""

    loss: float
    x: Any
    y: Any
    lambda_: Any
    log_temperature: float
    log_mix_temperature: float


class MixLambdas(NamedTuple):
    """The four mixing weights of m3_mix, and their gradients: numbers, or vectors of one a row."""

    m2: Any = 0.0
    v: Any = 0.0
    l: Any = 0.0  # noqa: E741
    vl: Any = 0.0


class BrownianBridgeGradient(NamedTuple):
    """brownian_bridge and its gradients."""

    loss: float
    augmented: Any
    x: Any
    y: Any


class AugmentedConsistencyGradient(NamedTuple):
    """augmented_geometric_consistency and its gradients."""

    loss: float
    x: Any
    y: Any
    x_augmented: Any
    y_augmented: Any


class MatryoshkaGradient(NamedTuple):
    """matryoshka and its gradients; y is None for one batch, losses are those of the widths."""

    loss: float
    x: Any
    y: Any
    log_temperature: float
    losses: List[float]


class FeatureSeparationGradient(NamedTuple):
    """feature_separation and its gradients."""

    loss: float
    x: Any
    y: Any
    x_independent: Any
    y_independent: Any
    x_augmented: Any
    y_augmented: Any
    log_temperature: float


class SupervisedGradient(NamedTuple):
    """A loss of one labelled batch; skipped: anchors without a positive."""

    loss: float
    x: Any
    log_temperature: float
    skipped: int


class TripletGradient(NamedTuple):
    """triplet: triplets with a positive loss, anchors without a positive or a negative."""

    loss: float
    x: Any
    active: int
    skipped: int


class MixedLabelGradient(NamedTuple):
    """A loss of logits and two labels a row."""

    loss: float
    logits: Any
    lambda_: Any


class LogitGradient(NamedTuple):
    """A loss of logits and k labels a row."""

    loss: float
    logits: Any


class ClampedLogScale(NamedTuple):
    """The clamped scale, and the factor that its gradient takes."""

    value: float
    gradient: float
