"""Info files of a few scenes, straight from the tables: a demo needs no prepared data."""

from pathlib import Path

from demonstration.choice import named_scenes, unknown_sample


def write_infos(root: str, version: str, folder: Path, *, scenes, sample, frames: int, cameras=None) -> dict:
    """Write the info files of the scenes that somebody wants to see.

    Args:
        root: Data root.
        version: Folder of its tables.
        folder: Where to write.
        scenes (list[str] | None): Names of scenes.
        sample (str | None): Token; its scene is written.
        frames: Without either, the first scenes whose files are there, until there are this many keyframes.
        cameras (list[str] | None): Names of the cameras to use; None takes nuScenes' six.

    Returns:
        dict[str, str]: Kind of infos -> file.

    Raises:
        ValueError, FileNotFoundError: No such version, scene, sample or camera, or files of a keyframe are missing.
    """
    from mmdet3d_plugin.datasets.infos.cameras import choose_cameras
    from mmdet3d_plugin.datasets.infos.columns import TableColumns
    from mmdet3d_plugin.datasets.infos.info_io import info_filename, save_infos
    from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
    from mmdet3d_plugin.datasets.infos.splits import find_versions

    nusc = TableColumns(root, *find_versions(root, version))
    names = choose_cameras(nusc, cameras)
    infos = _base_infos(nusc, _candidates(nusc, scenes, sample), names, frames, wanted=bool(scenes or sample))
    written, stamp = {}, dict(interval=3, max_prev=60)
    for kind, part, more in (('base', infos, {}), ('4d', build_infos_4d(nusc, infos, **stamp).infos, stamp)):
        path = folder / info_filename('demo', 'val', kind)
        save_infos(path, part, version, 'val', kind, **more)
        written[kind] = path.as_posix()
    return written


def _candidates(nusc, scenes, sample):
    """Scene records: those that are wanted, or all in order of time."""
    if sample is not None:
        tokens = {record['token']: record['scene_token'] for record in nusc.sample}
        if sample not in tokens:
            raise unknown_sample(sample, list(tokens), f'{nusc.dataroot}/{nusc.version}')
        return [scene for scene in nusc.scene if scene['token'] == tokens[sample]]
    start = {scene['token']: nusc.get('sample', scene['first_sample_token'])['timestamp'] for scene in nusc.scene}
    ordered = sorted(nusc.scene, key=lambda scene: start[scene['token']])
    if scenes is None:
        return ordered
    names = named_scenes(scenes, [scene['name'] for scene in ordered], f'{nusc.dataroot}/{nusc.version}')
    return [scene for scene in ordered if scene['name'] in names]


def _base_infos(nusc, scenes, cameras, frames, wanted):
    """PackedInfos of all scenes when they are wanted, else of the first ones with files until there are enough."""
    from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos, scene_infos
    from mmdet3d_plugin.datasets.packed_infos import PackedInfos

    if wanted:
        return build_infos(nusc, scenes, cameras=cameras).infos
    parts, count = [], 0
    for scene in scenes:
        if count >= frames:
            break
        parts.append(scene_infos(nusc, scene, cameras=cameras).infos)
        count += len(parts[-1])
    return PackedInfos.joined(parts) if count else build_infos(nusc, scenes, cameras=cameras).infos
