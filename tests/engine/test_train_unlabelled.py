"""Both families on generated data of which a part is labelled, through the command-line tool: scenes, then sweeps."""

import pytest
from helpers.nuscenes_batch import load_tables, write_infos

from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.unlabelled_infos import build_unlabelled_infos
from mmdet3d_plugin.engine.ordered_loader import build_ordered_loader, has_own_order

RANDOM_TEACHER = ['model.teacher.checkpoint=None', 'model.teacher.allow_random_weights=True',
                  'model.unlabelled.score_threshold=0.1']  # fmt: skip


@pytest.fixture(scope='module')
def files(tiny_nuscenes, tmp_path_factory):
    """Info files of the keyframes of two scenes, by kind, and of the sweeps between them."""
    nusc, folder = load_tables(tiny_nuscenes), tmp_path_factory.mktemp('infos')
    nusc.scene = nusc.scene[:2]
    sweeps = folder / 'nuscenes_infos_train_unlabelled1.pkl'
    infos = build_unlabelled_infos(nusc, nusc.scene, 1).infos
    save_infos(sweeps, infos, version='v1.0-mini', split='train', kind='unlabelled', interval=3, max_prev=60)
    return dict(base=write_infos(nusc, folder, 'base'), **{'4d': write_infos(nusc, folder, '4d')}, sweeps=sweeps)


@pytest.fixture
def options(files, tiny_nuscenes):
    """``--cfg-options`` that move a config to the generated data and make it short."""

    def build(kind, *places):
        words = ['data.samples_per_gpu=2', 'data.workers_per_gpu=1', 'runner.max_epochs=1', 'log_config.interval=1']
        for place in (*places, 'val', 'test'):
            words += [f'data.{place}.data_root={tiny_nuscenes}', f'data.{place}.ann_file={files[kind]}']
        return ['--no-validate', '--cfg-options', *words]

    return build


def test_scenes_without_labels(train, options, repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(repo_root)
    small = ['model.student.img_backbone.base_channels=8', 'model.student.img_neck.in_channels=[16,32]']
    log = train('configs/unlabelled/dualdistill_pseudo_labels.py', '--work-dir', tmp_path, '--seed', '0',
                *options('4d', 'train.labelled'), *RANDOM_TEACHER, *small, 'load_from=None',
                'data.train.scenes.times=1')  # fmt: skip
    assert len(log) == 4  # four labelled keyframes of one scene, one a batch
    terms = {'loss_depth', 'task0.loss_heatmap', 'distill.head.loss_fp', 'crd.task0.loss_heatmap', 'crd.num_boxes'}
    assert all(terms <= set(line) and line['loss'] > 0 for line in log.values())


def test_sweeps_without_labels(train, options, files, repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(repo_root)
    config = tmp_path / 'sweeps.py'
    config.write_text(
        f"_base_ = ['{repo_root}/configs/unlabelled/bevformer_unlabelled.py']\n"
        f"data = dict(train=dict(scenes=None, unlabelled=dict(ann_file='{files['sweeps']}', info_kind='unlabelled')))\n"
    )
    log = train(config, '--work-dir', tmp_path / 'run', '--seed', '0', *options('base', 'train.labelled'),
                *RANDOM_TEACHER, 'load_from=None')  # fmt: skip
    assert len(log) == 8  # all keyframes are labelled, and one of the six sweeps stands beside each
    assert all({'loss_cls', 'd0.loss_bbox', 'distill.bev.loss_fg'} <= set(line) for line in log.values())
    assert all(line['loss_cls'] > 0 and line['distill.bev.loss_bg'] > 0 for line in log.values())


class Ordered:
    """A data set that makes its sampler itself."""

    def make_sampler(self, samples_per_gpu, processes, rank, seed):
        return [3, 1, 2]

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index


class Wrapper:
    def __init__(self, dataset):
        self.dataset = dataset


class Several:
    def __init__(self, datasets):
        self.datasets = datasets


def test_loaders_of_data_sets_with_an_order_of_their_own():
    assert has_own_order(Ordered()) and not has_own_order([1, 2]) and not has_own_order(Wrapper([1]))
    with pytest.raises(ValueError, match='Ordered chooses what a batch holds.*outermost.* with Wrapper inside'):
        has_own_order(Wrapper(Wrapper(Ordered())))
    with pytest.raises(ValueError, match='Ordered chooses what a batch holds.* with Several inside'):
        has_own_order(Several([Wrapper([1]), Wrapper(Ordered())]))
    sizes = dict(samples_per_gpu=3, workers_per_gpu=0, seed=None)
    loader = build_ordered_loader(Ordered(), **sizes, drop_last=True)
    assert [batch.tolist() for batch in loader] == [[3, 1, 2]] and loader.drop_last
    with pytest.raises(ValueError, match='Ordered has an order of its own, remove shuffle'):
        build_ordered_loader(Ordered(), **sizes, shuffle=True)
