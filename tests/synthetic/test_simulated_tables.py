"""Simulated tables: the devkit reads them, they are as long as the real ones, and a seed gives them again."""

import json

import pytest
from nuscenes import NuScenes

from mmdet3d_plugin.synthetic.simulated_tables import simulate_tables


def test_a_hundredth_of_the_real_size_has_a_hundredth_of_its_rows(tmp_path):
    """And rows grow linearly; the real set has 34,149 keyframes, 2.63 million frames, 1.17 million annotations."""
    small, large = (simulate_tables(tmp_path / str(count), count) for count in (4, 8))
    per_scene = dict(sample=34_149 / 850, sample_data=2_631_083 / 850, ego_pose=2_631_083 / 850)
    for name, count in per_scene.items():
        assert large[name] / 8 == pytest.approx(count, rel=0.03)
    assert large['sample_annotation'] / 8 == pytest.approx(1_170, rel=0.15)  # a million in 850 scenes
    for name in (*per_scene, 'sample_annotation', 'instance', 'calibrated_sensor', 'log'):
        assert large[name] == pytest.approx(2 * small[name], rel=0.1)


def test_the_devkit_reads_them_and_chains_stay_in_their_scene(tmp_path):
    simulate_tables(tmp_path, 2)
    nusc = NuScenes('v1.0-trainval', str(tmp_path), verbose=False)
    assert all(len(sample['data']) == 12 for sample in nusc.sample)
    assert 10 < sum(len(sample['anns']) for sample in nusc.sample) / len(nusc.sample) < 50
    scene_of = {sample['token']: sample['scene_token'] for sample in nusc.sample}
    for record in nusc.sample_data:
        if record['prev']:
            before = nusc.get('sample_data', record['prev'])
            assert before['next'] == record['token'] and before['timestamp'] < record['timestamp']
            assert scene_of[before['sample_token']] == scene_of[record['sample_token']]
    assert not (tmp_path / 'samples').exists()


def test_a_seed_gives_the_same_tables_and_another_gives_others(tmp_path):
    contents = []
    for folder, seed in (('a', 1), ('b', 1), ('c', 2)):
        simulate_tables(tmp_path / folder, 2, seed)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / folder / 'v1.0-trainval').iterdir()})
    assert contents[0] == contents[1] and len(contents[0]) == 13
    assert all(contents[0][f'{name}.json'] != contents[2][f'{name}.json'] for name in ('sample', 'sample_annotation'))
    assert len(json.loads(contents[0]['scene.json'])) == 2


def test_wrong_sizes_and_places_are_refused(tmp_path):
    for scenes in (1, 851):
        with pytest.raises(ValueError, match=f'scenes={scenes}: choose 2 to 850'):
            simulate_tables(tmp_path, scenes)
    (tmp_path / 'v1.0-trainval').mkdir()
    with pytest.raises(FileExistsError):
        simulate_tables(tmp_path, 2)
