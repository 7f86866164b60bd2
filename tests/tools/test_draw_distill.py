"""draw_distill.py from files to a picture, on a data set of two samples."""

import importlib.util

import cv2
import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, make_batch, write_teacher
from mmcv import Config
from mmcv.parallel import DataContainer
from mmdet3d.datasets import DATASETS
from torch.utils.data import Dataset


@DATASETS.register_module()
class TwoSamples(Dataset):
    """Samples of :func:`make_batch`; the second one, called 'b', has no object."""

    CLASSES = tuple('abcdefghij')

    def __init__(self, ann_file, data_root):
        self.ann_file = ann_file
        self.data_infos = [dict(token='a'), dict(token='b')]

    def __len__(self):
        return 2

    def get_cat_ids(self, index):
        return [[0], []][index]

    def __getitem__(self, index):
        batch = make_batch(size=1)
        on_cpu = ('img_metas', 'gt_bboxes_3d')
        item = {key: DataContainer(values[0], cpu_only=key in on_cpu) for key, values in batch.items()}
        item['img'] = DataContainer(batch['img'][0], stack=True)
        return item


@pytest.fixture
def draw(request):
    """The tool's ``main``."""
    path = request.config.rootpath / 'tools' / 'visualization' / 'draw_distill.py'
    spec = importlib.util.spec_from_file_location('draw_distill', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([str(word) for word in words])


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Config and checkpoint of a tiny distiller."""
    folder = tmp_path_factory.mktemp('distilled')
    model = distiller_cfg(write_teacher(folder))
    train = dict(type='TwoSamples', ann_file='train.pkl', data_root='.')
    Config(dict(model=model, data=dict(train=dict(dataset=train), val=dict(train, ann_file='val.pkl')))).dump(
        str(folder / 'config.py')
    )
    torch.save(dict(state_dict=build(model).state_dict()), folder / 'distilled.pth')
    return folder / 'config.py', folder / 'distilled.pth'


def test_one_picture_of_one_sample(draw, files, tmp_path, capsys):
    out = tmp_path / 'new' / 'distill.png'
    draw(*files, '--out', out, '--token', 'a', '--panel', '40')
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert cv2.imread(str(out)).shape == (26 + 4 * (26 + 70), 7 * 44, 3)


@pytest.mark.parametrize(
    'words, message',
    [
        (['--token', 'c'], 'no sample c in val.pkl'),
        (['--index', '2', '--split', 'train'], 'train.pkl has samples 0 to 1, not 2'),
        (['--index', '1'], 'sample 1 of val.pkl has no object'),
    ],
)
def test_samples_that_cannot_be_drawn(draw, files, tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        draw(*files, '--out', tmp_path / 'x.png', *words)
    assert not (tmp_path / 'x.png').exists()


def test_a_checkpoint_without_aligners_and_a_plain_config_are_refused(draw, files, tmp_path):
    config, checkpoint = files
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    student = {key: value for key, value in state.items() if not key.startswith('distill.')}
    torch.save(dict(state_dict=student), tmp_path / 'student.pth')
    with pytest.raises(ValueError, match=r'distill: \d+ missing'):
        draw(config, tmp_path / 'student.pth')
    plain = tmp_path / 'plain.py'
    Config(dict(model=dict(type='BEVDepth4D'))).dump(str(plain))
    with pytest.raises(ValueError, match='trains a BEVDepth4D: give a distillation config'):
        draw(plain, checkpoint)
