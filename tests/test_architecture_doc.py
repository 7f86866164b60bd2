"""The rooms that docs/architecture.md names are there."""

import re


def test_rooms_exist(repo_root):
    text = (repo_root / 'docs' / 'architecture.md').read_text()
    package = repo_root / 'mmdet3d_plugin'
    for name in re.findall(r'^  (\w+/|\w+\.py) ', text, flags=re.MULTILINE):
        assert (package / name).exists(), name
    for name in re.findall(r'`((?:tools|distill|engine|models|datasets|configs)/[\w/]+\.\w+)`', text):
        assert (repo_root / name).exists() or (package / name).exists(), name
