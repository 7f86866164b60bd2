"""Files of other trainers and wrappers: where the weights are, and their bare names."""

import pytest
import torch
from torch import nn

from mmdet3d_plugin.checkpoints.files import load_strictly, read_checkpoint

STATE = {'stem.weight': torch.ones(2), 'model.weight': torch.zeros(1)}


def saved(folder, content):
    path = str(folder / 'file.pth')
    torch.save(content, path)
    return path


@pytest.mark.parametrize('place', ['state_dict', 'model', 'net', 'model_state_dict', None])
def test_weights_are_found_where_trainers_put_them(tmp_path, place):
    content = STATE if place is None else {'epoch': 3, 'optimizer': dict(state={}), place: STATE}
    state, meta = read_checkpoint(saved(tmp_path, content))
    assert state.keys() == STATE.keys() and meta == {}


@pytest.mark.parametrize('prefix', ['', 'module.', 'student.', '_orig_mod.', 'module._orig_mod.student.', 'model.'])
def test_wrappers_leave_no_trace_in_the_names(tmp_path, prefix):
    content = dict(state_dict={f'{prefix}{name}': value for name, value in STATE.items()})
    state, _ = read_checkpoint(saved(tmp_path, content))
    assert list(state) == list(STATE) and torch.equal(state['stem.weight'], torch.ones(2))


def test_one_weight_under_two_names_is_refused(tmp_path):
    content = dict(state_dict={**STATE, 'student.stem.weight': torch.zeros(2)})
    with pytest.raises(ValueError, match=r'file.pth.*holds 1 weights twice.*stem.weight first'):
        read_checkpoint(saved(tmp_path, content))


def test_a_file_without_weights_says_what_it_holds(tmp_path):
    with pytest.raises(ValueError, match=r'no state_dict of tensors, but epoch, best: weights are looked for under'):
        read_checkpoint(saved(tmp_path, dict(epoch=3, best=0.5)))


@pytest.mark.parametrize('content', [{1: torch.ones(1)}, dict(state_dict=dict(a=1)), [torch.ones(1)]])
def test_anything_else_is_no_state_dict(tmp_path, content):
    with pytest.raises(ValueError, match='file.pth.*holds no state_dict of tensors'):
        read_checkpoint(saved(tmp_path, content))


def test_a_folder_is_called_one(tmp_path):
    with pytest.raises(FileNotFoundError, match='is a folder: name the file in it'):
        read_checkpoint(str(tmp_path))


def test_half_precision_weights_are_those_of_the_model(tmp_path):
    model = nn.Linear(2, 1)
    state = {name: torch.full_like(value, 0.3).half() for name, value in model.state_dict().items()}
    path = saved(tmp_path, dict(state_dict=state))
    load_strictly(model, read_checkpoint(path)[0], path, 'config')
    assert model.weight.dtype == torch.float32
    assert model.weight.tolist() == [[float(torch.tensor(0.3).half())] * 2]


def test_nothing_of_a_distiller_reaches_a_plain_model_not_even_a_counter():
    model, seen = nn.BatchNorm1d(2), []
    model._register_load_state_dict_pre_hook(lambda state, *_: seen.extend(state))
    names = ('weight', 'num_batches_tracked')
    beside = {f'distill.aligners.head.{name}': torch.ones(()) for name in names}
    load_strictly(model, {**model.state_dict(), **beside}, 'a.pth', 'c.py')
    assert sorted(seen) == sorted(model.state_dict())


def test_a_message_stays_short_whatever_the_file_holds(tmp_path):
    model = nn.ModuleDict({f'part{i}': nn.Linear(2, 2) for i in range(40)})
    state = {f'extra_{i}_of_another_model_with_a_long_name': torch.ones(1) for i in range(500)}
    for given in (state, {**model.state_dict(), **state}):
        with pytest.raises(ValueError, match='file.pth') as error:
            load_strictly(model, given, 'file.pth', 'config.py')
        assert len(str(error.value)) < 1500
    assert '492 unexpected in 492 more modules' in str(error.value)


def test_a_file_of_another_model_is_told_by_its_modules():
    words = "'a.pth' does not fit 'c.py': none of its weights fits: it has head 2, the model has weight 1, bias 1"
    with pytest.raises(ValueError, match=words):
        load_strictly(nn.Linear(2, 1), {'head.a': torch.ones(1), 'head.b': torch.ones(1)}, 'a.pth', 'c.py')
