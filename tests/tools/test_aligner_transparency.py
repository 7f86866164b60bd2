"""Aligners trained alone on stored maps: the correlation by hand, and the tool from files to a table."""

import json
import math

import pytest
import torch
from helpers.bev import level
from helpers.distill_fakes import build, distiller_cfg, make_batch, write_teacher
from mmcv import Config
from mmcv.parallel import DataContainer
from mmdet3d.datasets import DATASETS
from torch.utils.data import Dataset

from mmdet3d_plugin.distill.aligners import build_aligner
from mmdet3d_plugin.distill.losses import RegionWeightedFeatureLoss
from mmdet3d_plugin.distill.regions import build_regions

STUDENT, TEACHER = level(4, 8, 8), level(6, 8, 8)


@DATASETS.register_module()
class SixSamples(Dataset):
    """Samples of :func:`make_batch`, other ones for each file."""

    CLASSES = tuple('abcdefghij')

    def __init__(self, ann_file, data_root):
        self.seed = len(ann_file)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        batch = make_batch(size=1, seed=10 * self.seed + index)
        on_cpu = ('img_metas', 'gt_bboxes_3d')
        item = {key: DataContainer(values[0], cpu_only=key in on_cpu) for key, values in batch.items()}
        item['img'] = DataContainer(batch['img'][0], stack=True)
        return item


def test_correlation_ignores_each_channels_mean_and_scale(tool):
    correlation = tool('transparency.fit').correlation
    torch.manual_seed(0)
    maps = [torch.randn(2, 3, 4, 5), torch.randn(1, 3, 4, 5)]
    moved = [2.5 * one + torch.randn(len(one), 3, 1, 1) for one in maps]
    assert correlation(maps, moved) == pytest.approx(1.0)
    assert correlation(maps, [-one for one in maps]) == pytest.approx(-1.0)
    # one channel of two cells: 1, -1 beside 2, 0 and beside 5, 5
    ours = [torch.tensor([[[[1.0, -1.0]], [[3.0, 3.0]]]])]
    assert correlation(ours, [torch.tensor([[[[2.0, 0.0]], [[1.0, 0.0]]]])]) == pytest.approx(2.0 / (2.0 * 2.5) ** 0.5)
    assert math.isnan(correlation(ours, [torch.full((1, 2, 1, 2), 5.0)]))


def test_an_aligner_that_can_copy_the_teacher_does(tool):
    fit, stored = tool('transparency.fit'), tool('transparency.stored_maps')
    torch.manual_seed(0)
    mixing = torch.randn(6, 4)

    def batch():
        maps = torch.randn(3, *STUDENT.shape)
        regions = build_regions([make_batch(1)['gt_bboxes_3d'][0]] * 3, TEACHER.grid)
        return stored.StoredBatch(dict(a=maps), dict(a=torch.einsum('tc,bchw->bthw', mixing, maps)), dict(a=regions))

    aligner = build_aligner(dict(type='Conv1x1Aligner'), STUDENT, TEACHER)
    loss = RegionWeightedFeatureLoss(attention=None)
    train, held_out = [batch() for _ in range(4)], [batch() for _ in range(2)]
    cfg = Config(dict(optimizer=dict(type='AdamW', lr=0.1), optimizer_config=dict(grad_clip=dict(max_norm=35))))
    before = fit.look(aligner, loss, held_out, 'a')
    fit.fit(aligner, loss, train, 'a', 200, cfg)
    after = fit.look(aligner, loss, held_out, 'a')
    assert before['correlation'] < 0.6 and after['correlation'] > 0.999 and after['loss'] < 0.01 * before['loss']


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Two configs of a tiny distiller, with AOA and with plain convolutions, and checkpoints of both sides."""
    folder = tmp_path_factory.mktemp('transparency')
    teacher = write_teacher(folder)
    split = dict(type='SixSamples', ann_file='train.pkl', data_root='.')
    common = dict(
        data=dict(samples_per_gpu=2, train=dict(dataset=split), val=dict(split, ann_file='validation.pkl')),
        optimizer=dict(type='AdamW', lr=1e-2),
        optimizer_config=dict(grad_clip=None),
    )
    for name in ('aoa', 'plain'):
        cfg = distiller_cfg(teacher)
        if name == 'plain':
            cfg['levels'] = [dict(entry, aligner=dict(type='Conv1x1Aligner')) for entry in cfg['levels']]
        Config(dict(model=cfg, **common)).dump(str(folder / f'{name}.py'))
    student = build(distiller_cfg(teacher)).student
    torch.save(dict(state_dict=student.state_dict()), folder / 'student.pth')
    return folder


def test_from_files_to_a_table(tool, files, capsys):
    main = tool('aligner_transparency').main
    words = [
        files / 'aoa.py',
        files / 'plain.py',
        '--student',
        files / 'student.pth',
        '--teacher',
        files / 'teacher.pth',
    ]
    words += ['--steps', '3', '--batches', '2', '--held-out', '1', '--out', files / 'out' / 'result.json']
    outcomes = []
    for levels in ([], [], ['--levels', 'backbone2']):
        main([str(word) for word in [*words, *levels]])
        outcomes.append(json.loads((files / 'out' / 'result.json').read_text())['results'])
    assert outcomes[0] == outcomes[1]  # the seed decides
    assert [file.rsplit('/', 1)[-1] for file in outcomes[0]] == ['aoa.py', 'plain.py']
    for of_config in outcomes[0].values():
        assert list(of_config) == ['backbone1', 'backbone2', 'head']
        assert all(-1 <= one['correlation'] <= 1 and one['loss'] > 0 for one in of_config.values())
    assert all(list(of_config) == ['backbone2'] for of_config in outcomes[2].values())
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed if line.startswith(('aoa', 'plain'))] == ['aoa', 'plain'] * 3


@pytest.mark.parametrize(
    'words, said',
    [
        (['--levels', 'neck'], 'aoa.py: no feature loss at neck; there is one at backbone1, backbone2, head'),
        (['--cfg-options', 'model.levels=[]'], 'levels'),
    ],
)
def test_what_does_not_fit_is_one_line(tool, files, words, said):
    main = tool('aligner_transparency').main
    with pytest.raises(ValueError, match=said) as error:
        main([str(files / 'aoa.py'), '--student', str(files / 'student.pth'), *words])
    assert '\n' not in str(error.value)
