"""Training and testing runs on mmcv's runner: CPU or CUDA, one process or many."""

from .api import build_model, collate_sample, detect, load_student
from .config import load_config
from .distributed import init_distributed, pick_device, wrap_model
from .test import run_inference
from .train import train_detector

__all__ = [
    'build_model',
    'collate_sample',
    'detect',
    'init_distributed',
    'load_config',
    'load_student',
    'pick_device',
    'run_inference',
    'train_detector',
    'wrap_model',
]
