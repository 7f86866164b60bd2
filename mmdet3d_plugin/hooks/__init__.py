"""Runner hooks: seeds, checkpoints, checks, diagnostics and start-of-run facts."""

from . import averaged_weights
from .check_finite_loss import CheckFiniteLossHook
from .check_gradient import CheckGradientHook
from .epoch_seed import EpochSeedHook
from .gradient_share import GradientShareHook
from .resumable_checkpoint import ResumableCheckpointHook
from .set_iteration import SetIterationHook
from .training_summary import TrainingSummaryHook

__all__ = [
    'CheckFiniteLossHook',
    'CheckGradientHook',
    'EpochSeedHook',
    'GradientShareHook',
    'ResumableCheckpointHook',
    'SetIterationHook',
    'TrainingSummaryHook',
    'averaged_weights',
]
