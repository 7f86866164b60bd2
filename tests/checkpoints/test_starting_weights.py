"""``load_from``: what is taken over, what is counted, and what is refused."""

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from helpers.distill_fakes import build, distiller_cfg, student_cfg, write_teacher
from helpers.processes import free_port
from helpers.starting_weights import load_in_process
from helpers.toy_models import TASKS
from mmcv.parallel import MMDataParallel
from mmcv.runner import save_checkpoint

from mmdet3d_plugin.checkpoints.starting_weights import load_to_resume, load_to_start

NAMES = [task['class_names'] for task in TASKS]


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp('teacher'))


@pytest.fixture
def lines(caplog):
    """Load a file into a model: (level, line) of what the log says."""

    def load(model, path):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            load_to_start(model, str(path), logging.getLogger('start'))
        return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == 'start']

    return load


def student(seed=3, tasks=None):
    overrides = {} if tasks is None else dict(tasks=[dict(class_names=list(names)) for names in tasks])
    model = build(student_cfg(**overrides), seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.rand_like(parameter))
    return model


def saved(model, path, meta=None, edit=None):
    state = copy.copy(model.state_dict())
    torch.save(dict(state_dict=edit(state) if edit else state, meta=meta or {}), path)
    return path


def distillation(model):
    """Names of what a distiller has beside its student, without counters of batches."""
    return [name for name in model.state_dict() if name.startswith('distill.') and 'num_batches' not in name]


def assert_same(model, other, but=()):
    """Equal weights, save for names that start with ``but``, which all differ."""
    theirs = other.state_dict()
    for name, value in model.state_dict().items():
        if name.startswith(tuple(but)) and value.numel() > 1 and value.std() > 0:
            assert not torch.equal(value, theirs[name]), name
        elif not name.startswith(tuple(but)):
            assert torch.equal(value, theirs[name]), name


def test_everything_that_fits_is_one_line(lines, tmp_path):
    source, model = student(), build(student_cfg())
    path = saved(source, tmp_path / 'student.pth', dict(CLASSES=sum(NAMES, [])))
    found = lines(MMDataParallel(model, device_ids=[]), path)
    assert_same(model, source)
    total = sum('num_batches' not in name for name in model.state_dict())
    assert found[-1] == ('INFO', f'load_from={str(path)!r}: {total} of {total} weights of the model taken over')
    assert found[0][1].endswith('could not be checked, as the file does not tell: range, settings, boxes by version')
    assert len(found) == 2


@pytest.mark.parametrize('prefix', ['', 'student.', 'module.student.'])
def test_a_plain_student_starts_a_distiller(lines, teacher, tmp_path, prefix):
    source, model = student(), build(distiller_cfg(teacher))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    path = saved(source, tmp_path / 's.pth', edit=lambda state: {f'{prefix}{k}': v for k, v in state.items()})
    level, line = lines(model, path)[-1]
    assert_same(source, model)
    aligners = distillation(model)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in aligners)
    assert level == 'INFO' and line.endswith(
        f'weights of the model taken over; left as initialised: distill {len(aligners)}'
    )


def test_a_distilled_file_starts_a_plain_student(lines, teacher, tmp_path):
    source, model = build(distiller_cfg(teacher)), student()
    path = str(tmp_path / 'distilled.pth')
    save_checkpoint(source, path)
    level, line = lines(model, path)[-1]
    assert_same(model, source.student)
    assert level == 'INFO' and line.endswith(f'in the file alone: distill {len(distillation(source))}')


def test_a_partial_fit_is_a_warning_with_counts_by_module(lines, tmp_path):
    def edit(state):
        del state['neck.weight'], state['neck.bias']
        return dict(state, **{'stage1.0.bias': torch.ones(5), 'extra.a': torch.ones(1), 'extra.b': torch.ones(1)})

    model = build(student_cfg())
    level, line = lines(model, saved(student(), tmp_path / 's.pth', edit=edit))[-1]
    total = sum('num_batches' not in name for name in model.state_dict())
    assert level == 'WARNING' and line.endswith(
        f'{total - 3} of {total} weights of the model taken over; left as initialised: neck 2; '
        f'not taken over as of another shape: stage1 1; in the file alone: extra 2'
    )


def test_a_file_of_another_model_is_refused(tmp_path):
    path = saved(torch.nn.Linear(2, 1), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'load_from=.*other.pth.: none of its weights fits: it has weight 1, bias 1'):
        load_to_start(student(), str(path), logging.getLogger('start'))


def test_the_same_classes_in_another_order_are_refused(tmp_path):
    order = [NAMES[3], *NAMES[1:3], NAMES[0], *NAMES[4:]]
    meta = dict(detector=dict(tasks=order))
    with pytest.raises(ValueError, match=r"load_from=.*classes: trained with tasks \[\['barrier'\], .*write the order"):
        load_to_start(student(), str(saved(student(), tmp_path / 's.pth', meta)), logging.getLogger('start'))


def test_task_heads_of_other_classes_stay_as_initialised(lines, tmp_path):
    theirs = [['tram'], *NAMES[1:]]
    source, model = student(tasks=theirs), build(student_cfg(), seed=5)
    fresh = copy.deepcopy(model)
    found = lines(model, saved(source, tmp_path / 's.pth', dict(detector=dict(tasks=theirs))))
    assert [level for level, _ in found] == ['WARNING', 'WARNING']
    assert "detects ['tram', " in found[0][1] and found[0][1].endswith('so its task heads are not taken over')
    heads = sum(name.startswith('pts_bbox_head.task_heads') for name in dict(model.named_parameters()))
    assert 'left as initialised: pts_bbox_head ' in found[1][1] and heads > 30
    assert_same(model, source, but=['pts_bbox_head.task_heads.'])
    for name, value in model.pts_bbox_head.task_heads.state_dict().items():
        assert 'num_batches' in name or torch.equal(value, fresh.pts_bbox_head.task_heads.state_dict()[name]), name


def test_a_head_that_does_not_fit_is_counted(lines, tmp_path):
    source, model = student(tasks=[['tram', 'ferry']] * 6), student(seed=4)
    level, line = lines(model, saved(source, tmp_path / 's.pth', dict(CLASSES=['tram', 'ferry'] * 6)))[-1]
    assert level == 'WARNING' and 'left as initialised: pts_bbox_head ' in line
    assert 'of another shape: pts_bbox_head 4' in line  # heatmaps of the two tasks that have one class here
    assert torch.equal(model.stem[0].weight, source.stem[0].weight)


def test_old_boxes_are_refused_for_a_head_and_another_range_is_said(lines, tmp_path):
    path = saved(student(), tmp_path / 's.pth', dict(mmdet3d_version='0.17.1'))
    with pytest.raises(ValueError, match='boxes by version: mmdet3d 0.17.1 .*convert_legacy'):
        load_to_start(student(), str(path), logging.getLogger('start'))
    wider = dict(detector=dict(point_cloud_range=[-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]))
    level, line = lines(student(), saved(student(), tmp_path / 's.pth', wider))[0]
    assert level == 'WARNING' and 'range: trained with point_cloud_range [-51.2' in line


def test_a_run_of_another_class_order_is_not_resumed(tmp_path):
    meta = dict(detector=dict(tasks=[NAMES[3], *NAMES[1:3], NAMES[0], *NAMES[4:]]))
    runner = SimpleNamespace(model=student(), hooks=[], logger=logging.getLogger('start'))
    with pytest.raises(ValueError, match=r"cannot resume from .*s.pth: classes: trained with tasks \[\['barrier'\]"):
        load_to_resume(runner, str(saved(student(), tmp_path / 's.pth', meta)))


def test_every_process_starts_from_a_url(served, teacher, tmp_path):
    source = student()
    saved(source, tmp_path / 'student.pth')
    cfg, url = distiller_cfg(teacher), f'{served}/student.pth'
    mp.spawn(load_in_process, args=(2, free_port(), cfg, url, str(tmp_path)), nprocs=2)
    for rank in (0, 1):
        state = torch.load(tmp_path / f'rank{rank}.pth', weights_only=True)
        for name, value in source.state_dict().items():
            assert torch.equal(state[name], value), name
