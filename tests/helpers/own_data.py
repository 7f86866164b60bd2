"""A generated data set that is nobody's official one: seven cameras, scene names and categories of its own."""

import json
from pathlib import Path

SEVEN = (
    *('CAM_FRONT', 'CAM_FRONT_LEFT', 'CAM_FRONT_RIGHT', 'CAM_LEFT', 'CAM_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT'),
)
FIVE = ('CAM_FRONT', 'CAM_LEFT', 'CAM_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')
VERSION = 'v1.0-mine'
CATEGORIES = {'vehicle.car': 'Car', 'vehicle.truck': 'lorry', 'vehicle.bus.rigid': 'scooter'}


def write_own_data(root):
    """Write the set: two training scenes and one validation scene of three keyframes.

    Returns:
        Path: The data root.
    """
    from mmdet3d_plugin.synthetic import SyntheticConfig, generate

    config = SyntheticConfig(
        scenes=3, keyframes=3, image_width=96, image_height=54, lidar_beams=16, lidar_azimuth_steps=400, extent=18.0,
        lidar_dropout=0.0, lidar_sweep_hz=4, camera_sweep_hz=8, cameras=SEVEN, instance_masks=True,
        objects=dict(car=4, truck=2, bus=1, barrier=2, motorcycle=1, pedestrian=4),
    )  # fmt: skip
    return make_it_ones_own(generate(root, config, workers=1, progress=False))


def make_it_ones_own(root):
    """Rename version folder, scenes and some categories, and write the split file; returns the root."""
    folder = Path(root) / VERSION
    (Path(root) / 'v1.0-mini').rename(folder)
    _change(folder / 'category.json', lambda row: row.update(name=CATEGORIES.get(row['name'], row['name'])))
    scenes = _change(folder / 'scene.json')
    names = [f'drive-{number:04d}' for number in range(1, len(scenes) + 1)]
    by_token = dict(zip([row['token'] for row in scenes], names))
    _change(folder / 'scene.json', lambda row: row.update(name=by_token[row['token']]))
    (folder / 'splits.json').write_text(json.dumps(dict(train=names[:-1], val=names[-1:])))
    return Path(root)


def _change(path, change=lambda row: None):
    """Change every record of a table; returns the records."""
    rows = json.loads(path.read_text())
    for row in rows:
        change(row)
    path.write_text(json.dumps(rows))
    return rows
