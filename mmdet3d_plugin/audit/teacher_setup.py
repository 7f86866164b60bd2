"""Which teacher config, checkpoint and student a verification is about, and the detectors of both."""

from dataclasses import dataclass
from typing import Optional

import mmcv

from ..distill import student_model_cfg
from ..engine.config import load_config
from .config_check import build_quietly
from .config_problem import ConfigProblem, blame
from .overrides import load_checked


@dataclass(frozen=True)
class VerificationSetup:
    """The parts of a verification.

    Attributes:
        config: the teacher's config file.
        checkpoint: its weights.
        cfg: the teacher's config, overrides applied.
        student: model config of the student, None to leave it out.
    """

    config: str
    checkpoint: str
    cfg: mmcv.Config
    student: Optional[dict]


def verification_setup(config, checkpoint=None, student=None, cfg_options=None):
    """Sort out the command line's files.

    Args:
        config (str): the teacher's config, or a distillation config, which names teacher, checkpoint and student.
        checkpoint (str, optional): wins over the distillation config's.
        student (str, optional): student or distillation config; wins over the distillation config's.
        cfg_options (dict, optional): overrides of the teacher's config.

    Returns:
        VerificationSetup

    Raises:
        ConfigProblem: a file is not there, or no checkpoint is named.
    """
    with blame('config file'):
        cfg = load_config(config)
        model = None
        if 'teacher' in cfg.model:
            model = student_model_cfg(cfg.model)
            checkpoint = checkpoint or cfg.model.teacher.get('checkpoint')
            config = cfg.model.teacher.config
        cfg, _ = load_checked(config, cfg_options)
    if student is not None:
        with blame('student'):
            model = student_model_cfg(load_config(student).model)
    if not checkpoint:
        raise ConfigProblem(f'{config}: give the checkpoint to verify')
    return VerificationSetup(config, checkpoint, cfg, model)


def build_sides(setup):
    """(teacher, student) detectors of a setup, weights as initialised; the student is None where there is none."""
    teacher, _ = build_quietly(setup.cfg)
    if setup.student is None:
        return teacher, None
    student, _ = build_quietly(mmcv.Config(dict(model=setup.student)))
    return teacher, student
