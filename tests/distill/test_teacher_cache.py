"""Maps of a teacher on disk: bit for bit what it says itself, never those of other points or another teacher."""

import multiprocessing
import warnings

import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, make_batch, write_teacher

from mmdet3d_plugin.distill import FrozenTeacher, teacher_cache
from mmdet3d_plugin.distill.teacher_cache import TeacherCache, file_name

NAMES = ['backbone2']  # beside `head`, which the head reads


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp('teacher'))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'maps'


def teacher_of(files, folder):
    return FrozenTeacher(**files, cache=dict(dir=str(folder)))


def stored(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob('*.pt'))


def silent(teacher, monkeypatch):
    """The same teacher, which must not compute anything."""
    monkeypatch.setattr(teacher.module, 'extract_bev', lambda batch: pytest.fail('computed anew'))
    return teacher


def clouds(*seeds):
    """A batch with a sample for each seed, and as many points as the seed says."""
    batch = make_batch(size=len(seeds))
    for row, seed in enumerate(seeds):
        batch['points'][row] = make_batch(size=1, seed=seed)['points'][0][: 400 - 10 * seed]
    return batch


def assert_same(cached, live, names=('backbone2', 'head')):
    assert set(names) <= set(cached.levels) and cached.head_input == live.head_input
    for name in names:
        ours, theirs = cached.level(name), live.level(name)
        assert torch.equal(ours, theirs) and ours.dtype == torch.float32
        assert ours.stride() == theirs.stride()


def test_read_maps_are_those_computed_in_any_company(files, folder, monkeypatch):
    plain, filling = FrozenTeacher(**files), teacher_of(files, folder)
    for seeds in ((1, 2, 3), (2, 4, 5), (6, 3, 1)):
        assert_same(filling.extract_bev(clouds(*seeds), NAMES), plain.extract_bev(clouds(*seeds)))
    assert len(stored(folder)) == 6
    reading = silent(teacher_of(files, folder), monkeypatch)
    for seeds in ((1, 2, 3), (6, 5, 4), (2, 2, 6)):
        cached = reading.extract_bev(clouds(*seeds), NAMES)
        assert list(cached.levels) == [*NAMES, 'head']
        assert_same(cached, plain.extract_bev(clouds(*seeds)))


def test_batches_of_other_sizes_are_computed_anew(files, folder):
    plain, teacher = FrozenTeacher(**files), teacher_of(files, folder)
    for seeds in ((1, 2, 3), (1, 2), (3,)):
        assert_same(teacher.extract_bev(clouds(*seeds), NAMES), plain.extract_bev(clouds(*seeds)))
    assert len(stored(folder)) == 6 and len({path.parts[0] for path in stored(folder)}) == 3


def test_other_operators_and_other_code_begin_anew(files, folder, monkeypatch):
    batch = make_batch(size=1)
    teacher_of(files, folder).extract_bev(batch, NAMES)
    for name, value in (('select_backend', lambda device: 'another'), ('code_digest', lambda: 'changed')):
        with monkeypatch.context() as patch:
            patch.setattr(teacher_cache, name, value)
            teacher_of(files, folder).extract_bev(batch, NAMES)
    assert len({path.parts[0] for path in stored(folder)}) == 3
    silent(teacher_of(files, folder), monkeypatch).extract_bev(batch, NAMES)


def test_all_levels_without_names(files, folder):
    live = FrozenTeacher(**files).extract_bev(make_batch())
    assert_same(teacher_of(files, folder).extract_bev(make_batch()), live, tuple(live.levels))


def test_flips_and_other_points_are_other_maps(files, folder):
    batch = make_batch(size=1)
    cloud = batch['points'][0]
    variants = [cloud * torch.tensor([x, y, 1.0, 1.0, 1.0]) for x in (1.0, -1.0) for y in (1.0, -1.0)]
    variants += [cloud[:-1], cloud.flip(0), torch.nextafter(cloud, cloud + 1), cloud[:0]]
    assert len({file_name(points) for points in variants}) == len(variants)
    teacher, live = teacher_of(files, folder), FrozenTeacher(**files)
    for _ in range(2):
        for points in variants[:4]:
            asked = dict(batch, points=[points])
            assert_same(teacher.extract_bev(asked, NAMES), live.extract_bev(asked))
    assert len(stored(folder)) == 4


def test_another_teacher_never_reads_them(files, folder, tmp_path):
    batch = make_batch(size=1)
    teacher_of(files, folder).extract_bev(batch, NAMES)
    changed = torch.load(files['checkpoint'], weights_only=True)
    changed['state_dict']['pts_bbox_head.shared_conv.conv.weight'][0, 0, 0, 0] += 1e-6
    torch.save(changed, tmp_path / 'other.pth')
    others = [
        FrozenTeacher(**{**files, 'checkpoint': str(tmp_path / 'other.pth')}, cache=dict(dir=str(folder))),
        FrozenTeacher(
            **files, cfg_options={'model.pts_backbone.norm_cfg': dict(type='BN', eps=0.5)}, cache=dict(dir=str(folder))
        ),
    ]
    for count, other in enumerate(others, 2):
        other.extract_bev(batch, NAMES)
        assert len({path.parts[0] for path in stored(folder)}) == count
    assert not torch.equal(others[1].extract_bev(batch).head_map, FrozenTeacher(**files).extract_bev(batch).head_map)
    others[0].extract_bev(batch, ['backbone1'])  # nor do other levels
    assert len({path.parts[0] for path in stored(folder)}) == 5


def test_a_damaged_file_is_computed_anew(files, folder):
    batch = make_batch(size=1)
    teacher_of(files, folder).extract_bev(batch, NAMES)
    (path,) = folder.rglob('*.pt')
    whole = path.read_bytes()
    for content in (b'', whole[: len(whole) // 2], b'no map at all'):
        path.write_bytes(content)
        assert_same(teacher_of(files, folder).extract_bev(batch, NAMES), FrozenTeacher(**files).extract_bev(batch))
        assert path.read_bytes() == whole


def test_a_full_disk_ends_the_storing_and_not_the_run(files, folder, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', full)
    teacher = teacher_of(files, folder)
    with pytest.warns(UserWarning, match=r'teacher.cache: No space left on device: .*no more maps are stored'):
        cached = teacher.extract_bev(make_batch(), NAMES)
    assert_same(cached, FrozenTeacher(**files).extract_bev(make_batch()))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        teacher.extract_bev(make_batch(), NAMES)
    assert not stored(folder) and not list(folder.rglob('*.tmp'))


@pytest.fixture
def one_thread():
    """Forked processes cannot use the threads of this one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _fill(files, folder, start, maps):
    start.wait()
    maps.put(teacher_of(files, folder).extract_bev(make_batch(), NAMES).head_map.numpy())


def test_two_processes_may_fill_one_folder(files, folder, one_thread):
    context = multiprocessing.get_context('fork')
    start, maps = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_fill, args=(files, folder, start, maps)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [torch.from_numpy(maps.get(timeout=60)) for _ in workers]
    for worker in workers:
        worker.join()
    live = FrozenTeacher(**files).extract_bev(make_batch())
    assert all(torch.equal(head_map, live.head_map) for head_map in found)
    assert len(stored(folder)) == 2 and not list(folder.rglob('*.tmp'))


def test_a_distiller_has_the_same_losses_and_gradients(files, folder, monkeypatch):
    batches = [make_batch(size=2, seed=seed) for seed in (0, 1)]
    outcomes = []
    for cache in (None, dict(dir=str(folder)), dict(dir=str(folder))):
        model = build(distiller_cfg(dict(files, cache=cache)))
        if outcomes and len(outcomes) == 2:
            silent(model.teacher, monkeypatch)
        losses = [model.forward_train(**batch) for batch in batches]
        sum(value for terms in losses for name, value in terms.items() if 'loss' in name).backward()
        outcomes.append((losses, [parameter.grad for parameter in model.parameters()]))
    for losses, gradients in outcomes[1:]:
        for ours, theirs in zip(losses, outcomes[0][0]):
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs) and ours.keys() == theirs.keys()
        assert all(torch.equal(*pair) for pair in zip(gradients, outcomes[0][1]) if pair[1] is not None)
    content = torch.load(next(folder.rglob('*.pt')), weights_only=True)
    assert sorted(content['levels']) == ['backbone1', 'backbone2', 'head']  # those that the levels name


@pytest.mark.parametrize('changes', [dict(inputs=frozenset({'points', 'img'})), dict(sequential=True)])
def test_a_teacher_that_looks_at_more_than_points_is_refused(files, folder, changes):
    module = FrozenTeacher(**files).module
    for name, value in changes.items():
        setattr(module, name, value)
    with pytest.raises(ValueError, match='teacher.cache works for a teacher that reads points alone'):
        TeacherCache(module, {}, dir=str(folder))
