"""Checkpoint loading that never leaves a weight at random."""

from mmcv.runner import CheckpointLoader

_SHOWN = 8


def _listing(names):
    shown = ', '.join(names[:_SHOWN])
    return f'{shown}, ... ({len(names)} in all)' if len(names) > _SHOWN else shown


def load_strict(model, filename):
    """Load a detector checkpoint; every parameter must be in the file and every key of the file must be used.

    Args:
        model (nn.Module): Detector, not wrapped. Keys it drops itself while loading do not count as unexpected.
        filename (str): Checkpoint with a ``state_dict`` (or a bare state dict).

    Returns:
        dict: The checkpoint's ``meta`` (empty when it has none).

    Raises:
        FileNotFoundError: No such file.
        ValueError: Missing or unexpected keys, or shapes that differ, all listed in one message.
    """
    checkpoint = CheckpointLoader.load_checkpoint(filename, map_location='cpu')
    state = checkpoint.get('state_dict', checkpoint)
    state = {name[7:] if name.startswith('module.') else name: value for name, value in state.items()}
    own = model.state_dict()
    shapes = [
        f'{name} {tuple(value.shape)} in the file, {tuple(own[name].shape)} in the model'
        for name, value in state.items()
        if name in own and value.shape != own[name].shape
    ]
    if shapes:
        problems = [f'shapes differ: {_listing(shapes)}']
    else:
        missing, unexpected = model.load_state_dict(state, strict=False)
        problems = [f'missing: {_listing(missing)}'] if missing else []
        problems += [f'unexpected: {_listing(unexpected)}'] if unexpected else []
    if problems:
        raise ValueError(
            f'{filename} does not fit {type(model).__name__}: {"; ".join(problems)}. '
            f'Use the config the checkpoint was trained with.'
        )
    return checkpoint.get('meta') or {}
