"""Names of the sensors, and which cameras of a data set are used: nuScenes' six, or those that a person names."""

LIDAR = 'LIDAR_TOP'
CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')


def choose_cameras(nusc, wanted=None):
    """Cameras to use, checked against the tables; says on the terminal which ones are not used.

    Args:
        nusc (NuScenes): Tables.
        wanted (Sequence[str], optional): Camera names; None takes nuScenes' six.

    Returns:
        tuple[str, ...]: Camera names in the order asked for.

    Raises:
        ValueError: A camera is named twice, or the tables do not have it.
    """
    known = [record['channel'] for record in nusc.sensor if record['modality'] == 'camera']
    names = tuple(wanted or CAMERAS)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'--cameras: {", ".join(twice)} is named twice')
    absent = [name for name in names if name not in known]
    if absent:
        raise ValueError(
            f'{nusc.dataroot}: {nusc.version} has no camera {", ".join(absent)}. Its cameras are: {" ".join(known)}. '
            f'Name those that you want with --cameras'
        )
    unused = [name for name in known if name not in names]
    if unused:
        print(f'cameras that are not used: {", ".join(unused)} (--cameras chooses)')
    return names
