"""The manifest's entries are true of the configs they name."""

import pytest
from mmcv import Config
from mmdet3d.models import build_detector

from mmdet3d_plugin.audit.teacher_manifest import entries_of, load_manifest
from mmdet3d_plugin.checkpoints.told_by_weights import key_coverage


@pytest.fixture(autouse=True)
def _at_repo_root(monkeypatch, repo_root):
    monkeypatch.chdir(repo_root)


def test_expected_keys_are_those_of_the_config():
    entries = load_manifest()
    assert len({entry.name for entry in entries}) == len(entries) >= 4
    for entry in entries:
        model = build_detector(Config.fromfile(entry.config).model)
        rows = key_coverage(model, model.state_dict())
        assert {row.module: row.keys for row in rows if row.keys} == entry.keys, entry.name


def test_published_numbers_are_labelled_and_hashes_agree_with_names():
    (zoo,) = [entry for entry in load_manifest() if entry.published]
    assert 'published, not measured here: mAP 48.7, NDS 59.62 (mmdet3d 1.0 model zoo' in str(zoo)
    assert zoo.weights.endswith(f'-{zoo.sha256}.pth')
    assert zoo in entries_of('configs/centerpoint/centerpoint_pillar02_hard_cbgs_20e_nus.py')


@pytest.mark.parametrize(
    'text, words',
    [
        ('- {name: a, config: b, keys: {}}', r"a: unknown fields \[\], missing fields \['weights'\]"),
        ('- {name: a, config: b, keys: {}, weights: c, map: 1}', r"unknown fields \['map'\]"),
        ('- {name: a, config: b, keys: {}, weights: c, published: {mAP: 1}}', 'published needs mAP, NDS and source'),
    ],
)
def test_bad_entries_are_named(tmp_path, text, words):
    path = tmp_path / 'teachers.yml'
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_manifest(str(path))
