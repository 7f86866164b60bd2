"""verify_teacher: a good checkpoint passes, and each kind of bad one is caught in one clear line."""

import pytest
import torch
from helpers.tools import load_tool
from helpers.toy_models import toy_bevdepth_cfg
from mmcv import Config
from mmdet3d.models import CenterPoint

from mmdet3d_plugin.checkpoints.checkpoint_findings import file_findings
from mmdet3d_plugin.checkpoints.files import file_sha256

HEADS = 'pts_bbox_head.task_heads'


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/verify_teacher.py')


@pytest.fixture(autouse=True)
def _at_repo_root(monkeypatch, repo_root):
    monkeypatch.chdir(repo_root)


@pytest.fixture
def verify(tool, capsys):
    """Run the tool: (exit code, lines that say WRONG, all output)."""

    def run(*args):
        code = tool.main(list(args))
        output = capsys.readouterr().out
        return code, [line for line in output.splitlines() if line.startswith('WRONG')], output

    return run


def student_file(folder, **options):
    path = folder / 'student.py'
    Config(dict(model=toy_bevdepth_cfg(**options))).dump(str(path))
    return str(path)


def swap_sizes(state):
    """What a head of mmdet3d before 1.0 learned: w, l, h, and yaw = -yaw - pi / 2."""
    for key, value in state.items():
        if key.startswith(HEADS) and '.dim.1.' in key:
            state[key] = value[[1, 0, 2]]


def swap_tasks(state):
    """Car and barrier, the tasks of one class, in each other's place."""
    for key in [key for key in state if key.startswith(f'{HEADS}.0.')]:
        other = key.replace(f'{HEADS}.0.', f'{HEADS}.3.')
        state[key], state[other] = state[other], state[key]


def drop_neck(state):
    for key in [key for key in state if key.startswith('pts_neck.')]:
        del state[key]


def test_a_good_checkpoint_passes(verify, teacher, tmp_path):
    code, wrong, output = verify(teacher.config, teacher.write(), '--student', student_file(tmp_path))
    assert code == 0 and wrong == []
    for words in (
        'ok      keys: all 307 found, none left over',
        'ok      weights: trained: 47 norm layers left their initial values',
        'ok      classes: 10 in the order of the config',
        'ok      range: point_cloud_range, voxel_size, bev_cell as in training: [-12.8, -12.8, -5.0, 12.8, 12.8,',
        'ok      settings: velocity_mode as trained',
        'ok      boxes by version: l, w, h and counter-clockwise yaw, as mmdet3d 1.0.0rc6 writes',
        'ok      boxes by weights: length to width as typical: +1.00',
        'ok      classes by weights: sizes of the tasks are 0.00 from typical',
        'ok      student: same x -12.8..12.8 and y -12.8..12.8 m, classes and 16x16 cells',
        '0 wrong, 0 unknown of 9 findings',
    ):
        assert words in output


def test_random_weights(verify, teacher):
    code, wrong, _ = verify(teacher.config, teacher.write(trained=False))
    assert code == 1
    assert wrong == ['WRONG   weights: random: all 47 norm layers are as initialised']


def test_a_random_module_among_trained_ones(verify, teacher):
    fresh = teacher.build().state_dict()
    path = teacher.write(lambda state: state.update({k: v for k, v in fresh.items() if k.startswith('pts_neck.')}))
    code, (line,), _ = verify(teacher.config, path)
    assert code == 1 and line == 'WRONG   weights: pts_neck random: norm layers as initialised, the rest is trained'


def test_weights_that_are_not_finite(verify, teacher):
    path = teacher.write(lambda state: state['pts_neck.deblocks.0.0.weight'].fill_(float('nan')))
    _, (line,), _ = verify(teacher.config, path)
    assert line.startswith('WRONG   weights: 1 entries are not finite, pts_neck.deblocks.0.0.weight first')


def test_a_missing_neck(verify, teacher):
    code, (line,), output = verify(teacher.config, teacher.write(drop_neck))
    assert code == 1 and line.startswith('WRONG   keys: pts_neck is missing (all 15 keys)')
    assert 'pts_neck           15    0      15' in output


def test_single_odd_keys_are_counted_by_module(verify, teacher):
    def edit(state):
        del state['pts_backbone.blocks.0.0.weight']
        state['pts_backbone.blocks.1.0.weight'] = torch.ones(1)
        state['extra.weight'] = torch.ones(1)

    _, (line,), _ = verify(teacher.config, teacher.write(edit))
    assert (
        'pts_backbone has 1 missing, 1 misshaped of 40 keys' in line
        or 'pts_backbone has 1 missing, 1 misshaped' in line
    )
    assert 'extra has 1 unexpected of 0 keys' in line


def test_swapped_classes_by_the_names_in_the_file(verify, teacher):
    order = [*teacher.meta['CLASSES'][5:], *teacher.meta['CLASSES'][:5]]
    code, (line,), _ = verify(teacher.config, teacher.write(meta=dict(CLASSES=order)))
    assert code == 1 and line.startswith("WRONG   classes: trained with classes ['barrier', 'motorcycle',")


def test_swapped_classes_by_the_config_in_the_file(verify, teacher):
    text = teacher.meta['config'].replace("'bicycle'", "'x'").replace("'motorcycle'", "'bicycle'")
    meta = dict(config=text.replace("'x'", "'motorcycle'"))
    _, (line,), _ = verify(teacher.config, teacher.write(meta=meta))
    assert line.startswith('WRONG   classes: trained with tasks') and "['bicycle', 'motorcycle']" in line


def test_swapped_tasks_by_their_sizes(verify, teacher):
    code, (line,), output = verify(teacher.config, teacher.write(swap_tasks, meta={}))
    assert code == 1 and line.startswith('WRONG   classes by weights: sizes of the tasks are')
    assert "in the order [['barrier'], ['truck', 'construction_vehicle'], ['bus', 'trailer'], ['car']," in line
    assert 'unknown classes: the file names none' in output


def test_old_boxes_by_the_version_in_the_file(verify, teacher):
    code, wrong, _ = verify(teacher.config, teacher.write(meta=dict(mmdet3d_version='0.17.1')))
    assert code == 1 and len(wrong) == 1
    assert wrong[0].startswith(
        'WRONG   boxes by version: mmdet3d 0.17.1 wrote w, l, h and yaw = -yaw - pi/2: convert it'
    )


def test_old_boxes_by_the_weights(verify, teacher):
    code, (line,), _ = verify(teacher.config, teacher.write(swap_sizes, meta={}))
    assert code == 1
    assert line.startswith(
        'WRONG   boxes by weights: length to width as typical: -1.00 (1 for l, w, h, -1 for w, l, h)'
    )


def test_another_range_by_the_config_in_the_file(verify, teacher, make_teacher):
    other = make_teacher(range=(-19.2, -19.2, -5.0, 19.2, 19.2, 3.0))
    code, (line,), _ = verify(teacher.config, teacher.write(meta=other.meta))
    assert code == 1 and line.startswith('WRONG   range: trained with point_cloud_range [-19.2, -19.2, -5.0, 19.2,')
    finer = make_teacher(voxel=0.2)
    _, (line,), _ = verify(teacher.config, teacher.write(meta=finer.meta))
    assert line.startswith('WRONG   range: trained with voxel_size [0.2, 0.2, 8.0], the config has [0.4, 0.4, 8.0]')


def test_another_range_than_the_students(verify, teacher, tmp_path):
    student = student_file(tmp_path, range=(-25.6, -25.6, -5.0, 25.6, 25.6, 3.0), cell=3.2)
    code, (line,), _ = verify(teacher.config, teacher.write(), '--student', student)
    assert code == 1 and line.startswith('WRONG   student: student covers 8x8 cells over x -25.6..25.6')


def test_nothing_is_claimed_of_a_file_without_meta(verify, teacher):
    code, wrong, output = verify(teacher.config, teacher.write(meta={}))
    assert code == 0 and wrong == []
    assert output.count('unknown ') == 5  # classes, range, settings, version; and the summary line


def test_a_distillation_config_names_everything(verify, repo_root, teacher, tmp_path):
    path = tmp_path / 'distill.py'
    entry = dict(config=teacher.config, checkpoint=teacher.write())
    Config(dict(model=dict(type='DualDistill', student=toy_bevdepth_cfg(), teacher=entry))).dump(str(path))
    code, _, output = verify(str(path))
    assert code == 0 and 'ok      student: same x' in output and teacher.config in output


def test_a_text_in_the_meta_is_never_run(verify, teacher, tmp_path):
    trap = tmp_path / 'ran'
    text = f"__import__('os').mkdir({str(trap)!r})\nmodel = __import__('os').mkdir({str(trap)!r})\n"
    code, _, _ = verify(teacher.config, teacher.write(meta=dict(config=text)))
    assert code == 0 and not trap.exists()


def test_names_that_promise_a_hash(teacher):
    path = teacher.write()
    sha256 = file_sha256(path)
    assert file_findings(path, sha256) == []
    assert file_findings(f'centerpoint_20220811-{sha256[:8]}.pth', sha256)[0].verdict == 'ok'
    (finding,) = file_findings('centerpoint_20220811-00000000.pth', sha256)
    assert finding.verdict == 'wrong' and 'promises 00000000' in finding.text


@pytest.mark.parametrize('variant', ['hard', 'dynamic'])
def test_zoo_layouts_load_as_they_are(verify, variant, repo_root, tmp_path):
    """mmdet3d's own zoo config, built by mmdet3d's own class, saved, and read with our config of that variant."""
    import mmdet3d

    folder = repo_root.__class__(mmdet3d.__file__).parent / '.mim' / 'configs' / 'centerpoint'
    zoo = Config.fromfile(str(folder / 'centerpoint_02pillar_second_secfpn_circlenms_4x8_cyclic_20e_nus.py'))
    model_cfg = zoo.model
    model_cfg.pop('type')
    name = 'hard'
    if variant == 'dynamic':
        model_cfg.pts_voxel_encoder.type, name = 'DynamicPillarFeatureNet', 'dynamic_mmdet3d'
        model_cfg.pts_voxel_layer.update(max_num_points=-1, max_voxels=(-1, -1))
    model = CenterPoint(**model_cfg)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.normal_(module.weight, mean=1.0, std=0.1)
            torch.nn.init.constant_(module.running_mean, 0.1)
    meta = dict(CLASSES=tuple(zoo.class_names), mmdet3d_version='1.0.0rc4', config=zoo.pretty_text)
    path = tmp_path / 'zoo.pth'
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    config = f'configs/centerpoint/centerpoint_pillar02_{name}_cbgs_20e_nus.py'
    _, wrong, output = verify(config, str(path))
    assert [line for line in wrong if 'by weights' not in line] == []
    for words in (
        'ok      keys: all 357 found',
        'ok      classes: 10',
        'ok      range: point_cloud_range, voxel_size',
        'ok      boxes by version',
    ):
        assert words in output


def test_usage_errors_are_one_line(tool, teacher):
    with pytest.raises(ValueError, match='give the checkpoint to verify'):
        tool.main([teacher.config])
    with pytest.raises(ValueError, match=r'config file: .*nowhere\.py'):
        tool.main(['nowhere.py', 'x.pth'])
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        tool.main([teacher.config, 'nowhere.pth'])
