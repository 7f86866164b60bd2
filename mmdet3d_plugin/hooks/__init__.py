"""Runner hooks: seeds, checks and start-of-run facts."""

from .check_finite_loss import CheckFiniteLossHook
from .epoch_seed import EpochSeedHook
from .training_summary import TrainingSummaryHook

__all__ = ['CheckFiniteLossHook', 'EpochSeedHook', 'TrainingSummaryHook']
