"""Registry of aligners: modules that bring a student BEV map to the teacher's channels and size."""

from mmcv.utils import Registry

ALIGNERS = Registry('aligner')


def build_aligner(cfg, student, teacher):
    """Build an aligner for a pair of levels.

    Args:
        cfg (dict): ``type`` and the aligner's own options; sizes are not among them.
        student, teacher (BEVLevel): what goes in and what must come out.
    """
    clash = {'student', 'teacher'} & set(cfg)
    if clash:
        raise ValueError(f'{cfg["type"]}: {sorted(clash)} come from the detectors, remove them from the aligner config')
    return ALIGNERS.build(cfg, default_args=dict(student=student, teacher=teacher))
