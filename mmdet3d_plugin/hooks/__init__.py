"""Runner hooks: seeds, checks, diagnostics and start-of-run facts."""

from .check_finite_loss import CheckFiniteLossHook
from .check_gradient import CheckGradientHook
from .epoch_seed import EpochSeedHook
from .gradient_share import GradientShareHook
from .set_iteration import SetIterationHook
from .training_summary import TrainingSummaryHook

__all__ = [
    'CheckFiniteLossHook',
    'CheckGradientHook',
    'EpochSeedHook',
    'GradientShareHook',
    'SetIterationHook',
    'TrainingSummaryHook',
]
