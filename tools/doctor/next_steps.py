"""What to do next, from what the report lacks: the first few commands."""

_MOST = 4
_TEACHER = 'configs/centerpoint/centerpoint_pillar02_dynamic_cbgs_20e_nus.py'
_DISTILL = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'
_REAL, _FULL = 'data/nuscenes', 'v1.0-trainval'
_TOYS = 'configs/quickstart/'


def next_steps(sections: dict) -> list:
    """Commands, each with its reason.

    Args:
        sections (dict[str, list[Line]]): The report.

    Returns:
        list[dict[str, str]]: ``command`` and ``why``, the first to be run first.
    """
    lines = [line for section in sections.values() for line in section]
    if any(line.verdict == 'fatal' for line in lines):
        return [_step('bash scripts/setup.sh', 'the environment cannot run; see the lines marked FATAL')]
    data = sections.get('data sets', [])
    if not any(line.facts.get('kind') == 'data set' for line in data):
        return [
            _step('bash scripts/quickstart.sh', 'there is no data: this makes a small set and trains on it'),
            _step(f'link or unpack nuScenes to {_REAL}', 'for the real thing, as the README says'),
        ]
    return [*_for_files(data), *_for_infos(data), *_for_models(sections)][:_MOST]


def _step(command, why):
    return dict(command=command, why=why)


def _for_files(data):
    """The way out of each file that this code does not read, once."""
    broken = [line for line in data if line.verdict == 'wrong' and 'make it anew with ' in line.text]
    commands = {line.text.partition('make it anew with ')[2]: line for line in reversed(broken)}
    return [_step(command, f'{line.subject} cannot be read') for command, line in reversed(commands.items())]


def _for_infos(data):
    """The info files that a data set with tables still wants."""
    steps = []
    for line in data:
        if line.facts.get('kind') != 'data set' or not line.facts['versions']:
            continue
        folder, versions = line.subject, list(line.facts['versions'])
        version = _FULL if _FULL in versions else versions[0]
        there = {
            other.facts.get('content')
            for other in data
            if other.subject.startswith(f'{folder}/') and other.facts.get('kind') == 'info file'
        }
        where = f'--root-path {folder} --version {version}'
        if 'base' not in there:
            why = f'{folder} has no info files'
            steps.append(_step(f'python tools/create_data.py nuscenes {where}', why))
        if '4d' not in there and not line.facts['can_bus']:
            why = f'{folder} has no 4d info files, which BEVDepth4D reads'
            steps.append(_step(f'python tools/data_converter/prepare_nuscenes_for_bevdet4d.py {where}', why))
    return steps


def _for_models(sections):
    """Training and testing on the real set; the quick start does it for generated ones."""
    real = any(line.subject == _REAL for line in sections['data sets'])
    models = [line for line in sections.get('checkpoints', []) if line.facts.get('servable')]
    if not real:
        return [] if models else [_step('bash scripts/quickstart.sh', 'there is generated data and no model yet')]
    models = [line for line in models if not line.facts['config'].startswith(_TOYS)]
    detectors = {line.facts['detector'] for line in models}
    if not models:
        return [_step(f'python tools/train.py {_TEACHER}', 'there is no teacher yet')]
    students = [line for line in models if line.facts['distilled']]
    if not students and 'CenterPointBEV' in detectors:
        check = _step(f'python tools/analysis_tools/verify_teacher.py {_DISTILL}', 'is the teacher fit to teach?')
        return [check, _step(f'python tools/train.py {_DISTILL}', 'there is a teacher and no distilled student yet')]
    return [
        _step(f'python tools/test.py {line.facts["config"]} {line.subject} --eval bbox', 'scores of the newest student')
        for line in students[:1]
    ]
