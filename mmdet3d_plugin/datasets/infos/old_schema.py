"""Info files of the schema before the present one, turned into the present form while they are read.

Schema 1 had two forms of ``gt_velocity``: absolute in base infos, relative to the car's own velocity ``velo`` in 4-D
infos. Its 4-D infos also listed the camera frames after each keyframe, ``next``, which no pipeline has ever used.
"""

from __future__ import annotations

OLD_SCHEMA = 'dualdistill-nuscenes/1'
VELOCITY_OF_KIND = {'base': 'absolute', '4d': 'ego_relative'}


def problem_with_old(data: dict) -> str | None:
    """What keeps an info file of schema 1 from being turned into the present form, in words; None when nothing does.

    Args:
        data (dict): Content of the file, of a known kind.
    """
    kind, found = data['metadata']['kind'], data['metadata'].get('velocity')
    if found != VELOCITY_OF_KIND[kind]:
        return f'infos of {OLD_SCHEMA!r} and kind {kind!r} hold {VELOCITY_OF_KIND[kind]!r} velocities, found {found!r}'
    if kind == '4d' and not all('velo' in info for info in data['infos']):
        return f"infos of {OLD_SCHEMA!r} and kind '4d' need `velo`, the car's velocity, and some have none"
    return None


def upgrade(data: dict, schema: str) -> dict:
    """Content of an info file of schema 1 in the present form.

    Args:
        data (dict): Content of the file, without a :func:`problem_with_old`; left as it is.
        schema (str): Name of the present schema.

    Returns:
        dict: ``infos`` with absolute ``gt_velocity`` (m/s; unknown ones stay NaN) and without ``velo`` and ``next``,
        and ``metadata`` with the present schema.
    """
    relative = data['metadata']['velocity'] == 'ego_relative'
    metadata = {key: value for key, value in data['metadata'].items() if key != 'velocity'}
    infos = [_upgraded(info, relative) for info in data['infos']]
    return dict(data, infos=infos, metadata=dict(metadata, schema=schema))


def _upgraded(info, relative):
    kept = {key: value for key, value in info.items() if key not in ('velo', 'next')}
    if relative:
        kept['gt_velocity'] = info['gt_velocity'] + info['velo']
    return kept
