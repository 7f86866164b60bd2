"""Runner hooks: seeds, checkpoints, checks, diagnostics and start-of-run facts."""

from .check_finite_loss import CheckFiniteLossHook
from .epoch_seed import EpochSeedHook
from .gradient_share import GradientShareHook
from .resumable_checkpoint import ResumableCheckpointHook
from .set_iteration import SetIterationHook
from .training_summary import TrainingSummaryHook

__all__ = [
    'CheckFiniteLossHook',
    'EpochSeedHook',
    'GradientShareHook',
    'ResumableCheckpointHook',
    'SetIterationHook',
    'TrainingSummaryHook',
]
