"""Which scenes are labelled, and what a data set makes of the others."""

import numpy as np
import pytest
from mmcv.parallel import collate
from mmdet3d.datasets import build_dataset

from mmdet3d_plugin.datasets import NuScenesBEVDataset, SeededCBGSDataset
from mmdet3d_plugin.datasets.labelled_scenes import LabelledScenes, choose_samples
from mmdet3d_plugin.datasets.training_objects import check_objects_left

SCENES = [f'scene-{number:04d}' for number in range(50)]
RANGE = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]


def open_train(info_files, tables_root, labelled, kind='4d', **options):
    """Training data set of 5 samples of scene-0061 and 13 of scene-0553."""
    return NuScenesBEVDataset(info_files['train', kind], str(tables_root), labelled=labelled, **options)


def labels_only(objects_kept=True):
    """A pipeline of annotations alone; without range it keeps no object."""
    limits = RANGE if objects_kept else [0, 0, 0, 0.1, 0.1, 0.1]
    return [
        dict(type='LoadAnnotations3D'),
        dict(type='GlobalBEVAug'),
        dict(type='ObjectRangeFilter', point_cloud_range=limits),
        dict(type='ObjectNameFilter', classes=NuScenesBEVDataset.CLASSES),
        dict(type='FormatBEVInputs', keys=['gt_bboxes_3d', 'gt_labels_3d']),
    ]


def test_a_share_is_nested_seeded_and_knows_scenes_by_name():
    chosen = {share: LabelledScenes(share=share).names(SCENES) for share in (0.1, 0.2, 1.0)}
    assert [len(names) for names in chosen.values()] == [5, 10, 50]
    assert chosen[0.1] < chosen[0.2]
    assert LabelledScenes(share=0.2).names(reversed(SCENES)) == chosen[0.2]
    assert LabelledScenes(share=0.2, seed=1).names(SCENES) != chosen[0.2]
    assert len(LabelledScenes(share=0.001).names(SCENES)) == 1


def test_scenes_that_are_added_displace_only_those_with_larger_numbers():
    before = LabelledScenes(share=0.2).names(SCENES)
    after = LabelledScenes(share=0.2).names([*SCENES, *(f'other-{number}' for number in range(50))])
    assert len(after) == 20
    kept = before & after
    assert len(kept) >= 8  # twice as many places, twice as many scenes: the order among the old ones is the same
    assert LabelledScenes(share=len(kept) / 50).names(SCENES) == kept


def test_named_scenes_from_a_list_or_a_file(tmp_path):
    assert LabelledScenes(scenes=SCENES[:2]).names(SCENES) == set(SCENES[:2])
    assert LabelledScenes(scenes=[]).names(SCENES) == set()
    file = tmp_path / 'scenes.txt'
    file.write_text('scene-0003\n\n scene-0001 \n')
    assert LabelledScenes(scenes=str(file)).names(SCENES) == {'scene-0001', 'scene-0003'}
    with pytest.raises(ValueError, match='infos have no scene other, scene-9999; they have 50'):
        LabelledScenes(scenes=['scene-9999', 'other', 'scene-0001']).names(SCENES)


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(), 'either a share or scenes'),
        (dict(share=0.2, scenes=['a']), 'either a share or scenes'),
        (dict(share=0), 'share must be above 0 and at most 1, got 0'),
        (dict(share=0.2, use='rest'), "use must be one of .*, got 'rest'"),
        (dict(scenes='nowhere.txt'), 'no file nowhere.txt'),
        (dict(share=0.2, times=0), 'times must be a whole number of at least 1, got 0'),
        (dict(share=0.2, times=1.5), 'times must be a whole number of at least 1, got 1.5'),
        (dict(part=0.2), r"takes share, scenes, seed, use, times, got \['part'\]"),
    ],
)
def test_settings_that_choose_nothing(settings, message):
    with pytest.raises(ValueError, match=f'labelled.*{message}'):
        LabelledScenes.of(settings)


def test_nothing_left_is_an_error():
    with pytest.raises(ValueError, match="0 of 1 scenes are labelled: use='labelled' keeps no sample"):
        LabelledScenes(scenes=[], use='labelled').choose(['a', 'a'])
    with pytest.raises(ValueError, match="1 of 1 scenes are labelled: use='unlabelled' keeps no sample"):
        LabelledScenes(share=0.5, use='unlabelled').choose(['a', 'a'])


def test_labelled_samples_come_several_times():
    scenes = ['a', 'a', 'b', 'c']
    for use, indices, labelled in (
        ('all', [0, 1, 2, 3, 0, 1, 0, 1], [1, 1, 0, 0, 1, 1, 1, 1]),
        ('labelled', [0, 1, 0, 1, 0, 1], [1] * 6),
        ('unlabelled', [2, 3], [0, 0]),
    ):
        kept, told = LabelledScenes(scenes=['a'], use=use, times=3).choose(scenes)
        assert kept.tolist() == indices and told.tolist() == [bool(one) for one in labelled]


def test_nothing_is_repeated_where_nothing_is_labelled():
    with pytest.raises(ValueError, match='sweeps.pkl: labelled: times=3 repeats labelled samples'):
        choose_samples(LabelledScenes(scenes=['a'], times=3), ['a', 'b'], 'sweeps.pkl', 'unlabelled')


def test_a_repeated_sample_is_the_same_and_remembers_the_same(info_files, tables_root, caplog):
    choice = dict(scenes=['scene-0061'], use='labelled', times=3)
    dataset = open_train(info_files, tables_root, choice, pipeline=labels_only())
    dataset._num_earlier = 2
    assert len(dataset) == 15 and dataset.is_labelled.all()
    once, again = ([dataset.get_data_info(index) for index in range(start, start + 5)] for start in (0, 10))
    for one, other in zip(once, again):
        assert one['sample_idx'] == other['sample_idx']
        earlier = [[frame['sample_idx'] for frame in item['earlier_keyframes']] for item in (one, other)]
        assert earlier[0] == earlier[1]
    assert [len(item['earlier_keyframes']) for item in again] == [0, 1, 2, 2, 2]
    assert 'each of these comes 3 times' in caplog.text


@pytest.mark.parametrize('kind', ['base', '4d'])
@pytest.mark.parametrize('use, labelled, unlabelled', [('all', 5, 13), ('labelled', 5, 0), ('unlabelled', 0, 13)])
def test_uses_of_one_choice(info_files, tables_root, kind, use, labelled, unlabelled):
    dataset = open_train(info_files, tables_root, dict(scenes=['scene-0061'], use=use), kind)
    assert len(dataset) == labelled + unlabelled
    assert dataset.is_labelled.sum() == labelled
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        assert (item['scene_token'] == 'scene-0061') == dataset.is_labelled[index] == item.get('labelled', True)
        boxes = item['ann_info']['gt_bboxes_3d']
        assert len(boxes) == len(item['ann_info']['gt_labels_3d']) == len(item['ann_info']['gt_names'])
        assert (len(boxes) > 0) == dataset.is_labelled[index] == bool(dataset.get_cat_ids(index))
        assert boxes.tensor.shape[1] == 9


def test_samples_reach_the_batch_with_their_flag_and_without_boxes(info_files, tables_root):
    dataset = open_train(info_files, tables_root, dict(scenes=['scene-0061']), pipeline=labels_only())
    batch = collate([dataset[index] for index in (2, 7)], samples_per_gpu=2)
    metas = batch['img_metas'].data[0]
    assert [meta.get('labelled', True) for meta in metas] == [True, False]
    assert [len(labels) > 0 for labels in batch['gt_labels_3d'].data[0]] == [True, False]
    assert metas[1]['sample_idx'] == 'scene-0553-sample2'  # not replaced, although it has no object


def test_labelled_samples_without_objects_are_still_replaced(info_files, tables_root):
    pipeline = labels_only()
    dataset = open_train(info_files, tables_root, dict(scenes=['scene-0061'], use='labelled'), pipeline=pipeline)
    dataset._has_class[0] = False
    assert dataset[0]['img_metas'].data['sample_idx'] != 'scene-0061-sample0'


def test_the_search_for_objects_counts_labelled_samples(info_files, tables_root):
    lost = open_train(info_files, tables_root, dict(scenes=['scene-0061']), pipeline=labels_only(objects_kept=False))
    with pytest.raises(ValueError, match='Objects left in 5 samples'):
        check_objects_left(lost)
    unlabelled = open_train(info_files, tables_root, dict(scenes=[]), pipeline=labels_only(objects_kept=False))
    check_objects_left(unlabelled)  # nothing is looked for
    assert not unlabelled.is_labelled.any()


def test_class_balance_is_among_labelled_samples_and_others_come_once(info_files, tables_root):
    inner = dict(type='NuScenesBEVDataset', ann_file=info_files['train', 'base'], data_root=str(tables_root))
    balanced = build_dataset(dict(type='SeededCBGSDataset', dataset=dict(inner, labelled=dict(scenes=['scene-0061']))))
    alone = build_dataset(
        dict(type='SeededCBGSDataset', dataset=dict(inner, labelled=dict(scenes=['scene-0061'], use='labelled')))
    )
    assert isinstance(balanced, SeededCBGSDataset)
    drawn = np.array(balanced.sample_indices)
    assert drawn[: len(alone)].tolist() == alone.sample_indices and drawn[: len(alone)].max() < 5
    assert drawn[len(alone) :].tolist() == list(range(5, 18))


def test_without_the_option_nothing_changes(info_files, tables_root):
    plain = NuScenesBEVDataset(info_files['train', '4d'], str(tables_root))
    assert plain.is_labelled.all() and len(plain) == 18
    assert 'labelled' not in plain.get_data_info(0)
