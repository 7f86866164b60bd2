"""Weights under the names of published files of the second family."""


def toy_state(model):
    """A toy model's weights under published names."""
    rename = {'bev_encoder.layers.': 'transformer.encoder.layers.'}
    rename.update({f'bev_encoder.{name}': f'transformer.{name}' for name in ('level_emb', 'cams_emb', 'can_bus_mlp')})
    rename.update({f'bev_encoder.{name}': name for name in ('bev_embedding', 'positional_encoding')})
    state = {}
    for key, value in model.state_dict().items():
        start = next((start for start in rename if key.startswith(start)), None)
        state[key if start is None else f'pts_bbox_head.{rename[start]}{key[len(start) :]}'] = value
    return state
