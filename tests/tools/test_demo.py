"""demo.py: from checkpoints and tables to a picture, a film and a page."""

import importlib
import json
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers.nuscenes_batch import load_tables, write_infos
from mmcv.parallel import DataContainer
from mmdet3d.core.bbox import LiDARInstance3DBoxes

import mmdet3d_plugin
from mmdet3d_plugin.datasets.infos.info_columns import InfoColumns
from mmdet3d_plugin.datasets.infos.info_io import load_infos
from mmdet3d_plugin.visualization.results import detected_boxes, ground_truth_boxes

TOY = 'configs/quickstart/bevdepth4d_toy.py'


@pytest.fixture
def demo(repo_root, monkeypatch):
    """The tool's module, in the repository root."""
    monkeypatch.syspath_prepend(str(repo_root / 'tools'))
    monkeypatch.chdir(repo_root)
    return importlib.import_module('demo')


@pytest.fixture
def part(demo):
    """Function: name -> module of tools/demonstration."""
    return lambda name: importlib.import_module(f'demonstration.{name}')


def make_columns(*scenes):
    """Columns of scenes with so many keyframes each; tokens a0, a1, b0, ..."""
    pose = dict(ego2global_translation=[0.0, 0, 0], ego2global_rotation=[1.0, 0, 0, 0])
    empty = dict(gt_names=np.array([], dtype=str), num_lidar_pts=np.zeros(0, int), valid_flag=np.zeros(0, bool))
    return InfoColumns.of(
        [
            dict(token=f'{scene}{number}', scene_token=f'token-{scene}', scene_name=f'scene-{scene}',
                 timestamp=number * 500000, **pose, **empty)
            for scene, count in scenes for number in range(count)
        ]
    )  # fmt: skip


class TestChoice:
    columns = make_columns(('a', 3), ('b', 2), ('c', 4))

    def choose(self, part, **wanted):
        return part('choice').choose(self.columns, 'val.pkl', **{'scenes': None, 'sample': None, 'frames': 4, **wanted})

    def test_whole_scenes_until_there_are_enough(self, part):
        assert self.choose(part) == [0, 1, 2, 3, 4]
        assert self.choose(part, frames=3) == [0, 1, 2]
        assert self.choose(part, frames=99) == list(range(9))

    def test_named_scenes_and_samples(self, part):
        assert self.choose(part, scenes=['scene-c', 'scene-a', 'scene-c']) == [5, 6, 7, 8, 0, 1, 2]
        assert self.choose(part, sample='b1') == [4]

    def test_unknown_ones_are_told_which_there_are(self, part):
        with pytest.raises(ValueError, match=r'--scene scene-d: val.pkl has the scenes scene-a, scene-b, scene-c$'):
            self.choose(part, scenes=['scene-a', 'scene-d'])
        with pytest.raises(ValueError, match=r'--sample x: val.pkl has the samples a0, a1, .*, c2 and 1 more$'):
            self.choose(part, sample='x')

    def test_history_starts_with_the_scene(self, part):
        with_history = part('choice').with_history
        assert with_history(self.columns, [7, 4]) == [3, 4, 5, 6, 7]
        assert with_history(self.columns, [0]) == [0]


class Remembering(torch.nn.Module):
    """Answers with one car whose x counts the frames since it was reset."""

    head = SimpleNamespace(classes=['bus', 'car'])

    def __init__(self, sequential):
        super().__init__()
        self.sequential, self.frames = sequential, None

    def reset(self):
        self.frames = 0

    def forward(self, return_loss, img_metas):
        self.frames += 1
        box = torch.tensor([[float(self.frames), 0, -1, 4, 2, 2, 0, 3, 4]])
        return [dict(pts_bbox=dict(boxes_3d=LiDARInstance3DBoxes(box, 9), scores_3d=torch.tensor([0.5]),
                                   labels_3d=torch.tensor([1])))]  # fmt: skip


class Frames:
    """A data set of empty samples."""

    ann_file = 'val.pkl'
    data_infos = SimpleNamespace(columns=make_columns(('a', 3), ('b', 3)))

    def __getitem__(self, index):
        return dict(img_metas=DataContainer(dict(sample_idx=index), cpu_only=True))


@pytest.mark.parametrize('sequential, expected', [(True, 3.0), (False, 1.0)])
def test_a_detector_that_remembers_gets_the_scene_from_its_start(part, sequential, expected):
    detector = Remembering(sequential)
    found = part('predict').predict('model', detector, Frames(), ['b2'])
    assert list(found) == ['b2'] and found['b2'].boxes[0].tolist() == [expected, 0, 0, 4, 2, 2, 0]  # gravity centre
    assert found['b2'].names == ['car'] and found['b2'].velocities.tolist() == [[3, 4]]
    with pytest.raises(ValueError, match='model: val.pkl has no sample z9'):
        part('predict').predict('model', detector, Frames(), ['a0', 'z9'])


def test_boxes_without_velocity():
    boxes = LiDARInstance3DBoxes(torch.tensor([[1.0, 2, 3, 4, 5, 6, 0.5]]), 7)
    found = dict(boxes_3d=boxes, scores_3d=torch.tensor([0.25]), labels_3d=torch.tensor([0]))
    assert detected_boxes(found, ['bus']).velocities is None
    assert detected_boxes(found, ['bus']).boxes[0].tolist() == [1, 2, 6, 4, 5, 6, 0.5]
    assert boxes.tensor[0, 2] == 3  # not changed


def test_models_must_detect_the_same_classes(part):
    check = part('predict').check_same_classes
    check('a', ['car', 'bus'], 'b', ['bus', 'car'])
    with pytest.raises(ValueError, match='a detects car, bus, but b detects car: '):
        check('a', ['car', 'bus'], 'b', ['car'])


class TestCommandLine:
    def test_pairs_and_names(self, part):
        parse = part('command_line').parse_args
        models = parse('', ['a/x.py', '1.pth', 'b/y.py', '2.pth']).models
        assert [(model.name, model.config, model.checkpoint) for model in models] == [
            ('x', 'a/x.py', '1.pth'), ('y', 'b/y.py', '2.pth')
        ]  # fmt: skip
        same = ['x.py', '1.pth', 'x.py', '2.pth']
        assert [model.name for model in parse('', [*same, '--names', 'one', 'two']).models] == ['one', 'two']

    @pytest.mark.parametrize(
        'words, message',
        [
            (['x.py'], 'models are pairs'),
            (['x.py', '1.pth', 'x.py', '2.pth'], 'tell x, x apart with --names'),
            (['x.py', '1.pth', '--names', 'a', 'b'], '2 name(s) for 1 model(s)'),
            (['--names', 'a', 'b'], 'name models with CONFIG CHECKPOINT first'),
            (['--fps', '0'], '--fps must be positive'),
            (['--range', '0'], '--range must be positive'),
            (['--fps', 'nan'], '--fps must be positive'),
            (['--score-thr', '7'], '--score-thr must lie between 0 and 1'),
            (['--cameras', 'CAM_FRONT'], '--cameras goes with --version'),
            (['--scene', 'a', '--sample', 'b'], 'not allowed with'),
        ],
    )
    def test_errors(self, part, words, message, capsys):
        with pytest.raises(SystemExit):
            part('command_line').parse_args('', words)
        assert message in capsys.readouterr().err

    def test_the_quick_start_is_the_default(self, demo, part, tmp_path, monkeypatch, repo_root):
        import quickstart

        models, names = part('command_line').parse_args('', []).models, ('student', 'dualdistill')
        plan = quickstart.make_plan(quickstart.parse_args([]))
        assert [model.config for model in models] == [quickstart.CONFIGS[name] for name in names]
        assert [model.checkpoint for model in models] == [str(plan.run_dir(name, 0) / 'latest.pth') for name in names]
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match='student/latest.pth: run `bash scripts/quickstart.sh` first'):
            demo.main([])

    def test_titles(self, demo):
        assert demo.title_of(['a']) == 'What a sees' and demo.title_of(['a', 'b', 'c']) == 'What a, b and c see'


class TestTables:
    def write(self, part, root, folder, **wanted):
        wanted = {'scenes': None, 'sample': None, 'frames': 5, **wanted}
        return part('tables').write_infos(str(root), 'v1.0-mini', folder, **wanted)

    def test_infos_are_those_of_the_converters(self, part, tiny_nuscenes, tmp_path):
        nusc = load_tables(tiny_nuscenes)
        name = nusc.scene[1]['name']
        written = self.write(part, tiny_nuscenes, tmp_path, scenes=[name])
        for kind in ('base', '4d'):
            expected = load_infos(write_infos(nusc, tmp_path, kind, [name]), kind)['infos']
            found = load_infos(written[kind], kind)['infos']
            assert [info['token'] for info in found] == [info['token'] for info in expected]
            assert repr(list(found)) == repr(list(expected))

    def test_first_scenes_until_there_are_enough(self, part, tiny_nuscenes, tmp_path):
        nusc = load_tables(tiny_nuscenes)
        times = {scene['name']: nusc.get('sample', scene['first_sample_token'])['timestamp'] for scene in nusc.scene}
        infos = load_infos(self.write(part, tiny_nuscenes, tmp_path)['base'])['infos']
        names = list(dict.fromkeys(info['scene_name'] for info in infos))
        assert names == sorted(times, key=times.get)[:2] and len(infos) == 8

    def test_cameras_are_those_that_are_named(self, part, tiny_nuscenes, tmp_path):
        written = self.write(part, tiny_nuscenes, tmp_path, cameras=['CAM_BACK', 'CAM_FRONT'])
        assert list(load_infos(written['base'])['infos'][0]['cams']) == ['CAM_BACK', 'CAM_FRONT']
        with pytest.raises(ValueError, match='no camera CAM_TOP.*--cameras'):
            self.write(part, tiny_nuscenes, tmp_path, cameras=['CAM_TOP'])

    def test_errors_name_what_there_is(self, part, tiny_nuscenes, tmp_path):
        token, scene = load_tables(tiny_nuscenes).sample[0]['token'], load_tables(tiny_nuscenes).scene[0]['name']
        with pytest.raises(ValueError, match=f'--scene x: .*v1.0-mini has the scenes .*{scene}'):
            self.write(part, tiny_nuscenes, tmp_path, scenes=['x'])
        with pytest.raises(ValueError, match=f'--sample x: .*v1.0-mini has the samples .*{token}'):
            self.write(part, tiny_nuscenes, tmp_path, sample='x')
        with pytest.raises(ValueError, match='unknown nuScenes version'):
            part('tables').write_infos(str(tiny_nuscenes), 'v9', tmp_path, scenes=None, sample=None, frames=1)


@pytest.fixture
def checkpoint(demo, tmp_path):
    """Of a toy student with random weights."""
    model = mmdet3d_plugin.build_model(TOY)
    path = str(tmp_path / 'student.pth')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(CLASSES=model.head.classes)), path)
    return path


def page_of(folder):
    text = (folder / 'demo.html').read_text()
    return json.loads(re.search(r'id="content">(.*?)</script>', text, re.S)[1])


def test_from_checkpoints_to_files(demo, tiny_nuscenes, checkpoint, tmp_path, capsys):
    nusc, out = load_tables(tiny_nuscenes), tmp_path / 'out'
    name = nusc.scene[0]['name']
    words = [TOY, checkpoint, TOY, checkpoint, '--names', 'one', 'two', '--data-root', str(tiny_nuscenes)]
    demo.main([*words, '--version', 'v1.0-mini', '--scene', name, '--out-dir', str(out), '--score-thr', '0.1'])
    files = {'sheet.png', 'scene.gif', 'demo.html'}
    assert files <= {path.name for path in out.iterdir()} and 'open' in capsys.readouterr().out
    content = page_of(out)
    assert [layer['name'] for layer in content['layers']] == ['one', 'two', 'ground truth']
    assert [frame['scene'] for frame in content['frames']] == [name] * 4
    seconds = [frame['seconds'] for frame in content['frames']]
    assert seconds == pytest.approx([0, 0.5, 1.0, 1.5], abs=0.05)
    assert content['range'] == [-19.2, -19.2, 19.2, 19.2] and content['credit'] == ''  # generated data
    infos = {info['token']: info for info in load_infos(out / 'infos' / 'demo_infos_val.pkl')['infos']}
    for frame in content['frames']:
        assert frame['boxes'][0] == frame['boxes'][1] and len(frame['boxes'][0]) > 0
        truth = ground_truth_boxes(infos[frame['token']], content_classes(content))
        assert len(frame['boxes'][2]) == len(truth) > 0 and len(frame['cameras']) == 6
    assert cv2.imread(str(out / 'sheet.png')).shape[1] > 3 * 400


def content_classes(content):
    return [entry['name'] for entry in content['classes']]


def test_one_sample_and_real_keyframes(demo, real_keyframes, checkpoint, tmp_path):
    """One sample makes no film; real data is credited."""
    from nuscenes import NuScenes

    nusc, out = NuScenes('v1.0-trainval', str(real_keyframes), verbose=False), tmp_path / 'out'
    (scene,) = [scene for scene in nusc.scene if scene['name'] == 'scene-0103']
    token = nusc.get('sample', scene['first_sample_token'])['next']
    words = [TOY, checkpoint, '--data-root', str(real_keyframes), '--version', 'v1.0-trainval', '--sample', token]
    demo.main([*words, '--out-dir', str(out), '--range', '50', '--camera-width', '200'])
    assert {path.name for path in out.iterdir()} == {'infos', 'sheet.png', 'demo.html'}
    content = page_of(out)
    (frame,) = content['frames']
    assert frame['token'] == token and frame['seconds'] == pytest.approx(0.5, abs=0.05)
    assert content['range'] == [-50, -50, 50, 50] and '(c) Motional, CC BY-NC-SA 4.0' in content['credit']
    assert {(camera['width'], round(camera['height'])) for camera in frame['cameras']} == {(200, 112)}
    annotated = sum(
        record['num_lidar_pts'] + record['num_radar_pts'] > 0
        for record in (nusc.get('sample_annotation', one) for one in nusc.get('sample', token)['anns'])
    )
    assert 0 < len(frame['boxes'][1]) <= annotated
