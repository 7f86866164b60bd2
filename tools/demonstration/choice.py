"""Which keyframes of a data set are shown."""

_NAMED = 8  # of what there is, in messages


def choose(columns, source: str, *, scenes, sample, frames: int) -> list:
    """Indices of the keyframes to show, in order.

    Args:
        columns (InfoColumns): Of the data set, scene after scene in order of time.
        source: Where they are from, for messages.
        scenes (list[str] | None): Names of scenes.
        sample (str | None): Token of the one keyframe.
        frames: Without either, whole scenes from the first on until there are this many keyframes.

    Returns:
        list[int]: At least one.

    Raises:
        ValueError: There is no such scene or sample; names some that there are.
    """
    if sample is not None:
        tokens = [token.decode() for token in columns.token]
        if sample not in tokens:
            raise unknown_sample(sample, tokens, source)
        return [tokens.index(sample)]
    of_scene = {}
    for index, number in enumerate(columns.scene.tolist()):
        of_scene.setdefault(columns.scene_names[number] or columns.scene_tokens[number], []).append(index)
    if scenes is not None:
        return [index for name in named_scenes(scenes, list(of_scene), source) for index in of_scene[name]]
    chosen = []
    for indices in of_scene.values():
        if len(chosen) >= frames:
            break
        chosen += indices
    return chosen


def with_history(columns, chosen) -> list:
    """``chosen`` indices and those of all keyframes before them in their scenes, for detectors that remember."""
    last = {int(columns.scene[index]): index for index in sorted(chosen)}
    return [index for index, scene in enumerate(columns.scene.tolist()) if index <= last.get(scene, -1)]


def named_scenes(wanted, known, source: str) -> list:
    """Names of scenes, each once, in the order of the command line; ValueError for one that is not known."""
    for name in wanted:
        if name not in known:
            raise ValueError(f'--scene {name}: {source} has the scenes {_few(known)}')
    return list(dict.fromkeys(wanted))


def unknown_sample(token: str, known, source: str) -> ValueError:
    """The error for a token that is not there."""
    return ValueError(f'--sample {token}: {source} has the samples {_few(known)}')


def _few(names):
    more = len(names) - _NAMED
    return ', '.join(names[:_NAMED]) + (f' and {more} more' if more > 0 else '')
