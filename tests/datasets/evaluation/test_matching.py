"""Greedy matching by hand, and against plain loops."""

import numpy as np
import pytest

from mmdet3d_plugin.datasets.evaluation import matching
from mmdet3d_plugin.datasets.evaluation.matching import match


def run(found, truth, thresholds):
    found, truth = np.array(found, dtype=float).reshape(-1, 2), np.array(truth, dtype=float).reshape(-1, 2)
    begin, end = np.zeros(len(found), dtype=np.int64), np.full(len(found), len(truth))
    return match(found, begin, end, truth, np.array(thresholds, dtype=float)).tolist()


def test_the_first_to_choose_takes_the_nearest():
    assert run([[0, 0], [0.1, 0]], [[0.2, 0], [0.5, 0]], [1.0]) == [[0, 1]]


def test_a_match_is_strictly_nearer_than_the_threshold():
    assert run([[0, 0]], [[0.5, 0]], [0.5, 0.5000001]) == [[-1], [0]]


def test_of_two_as_near_the_first_is_taken():
    assert run([[0, 0], [0, 0]], [[1, 0], [-1, 0], [0, 2]], [4.0]) == [[0, 1]]


def test_what_is_taken_at_one_threshold_is_free_at_another():
    assert run([[0, 0], [1.9, 0]], [[1.0, 0]], [0.95, 2.0]) == [[-1, 0], [0, -1]]


def test_without_a_place_for_the_cache_it_compiles_anew(monkeypatch):
    compile_it = matching.njit

    def no_place(*args, **options):
        if options:
            raise RuntimeError('cannot cache function: no locator available')
        return compile_it(*args)

    monkeypatch.setattr(matching, 'njit', no_place)
    assert matching._compiled(lambda number: number + 1)(2) == 3


def test_nothing_to_match():
    assert run([], [], [1.0]) == [[]]
    assert run([[0, 0]], [], [1.0, 2.0]) == [[-1], [-1]]


@pytest.mark.parametrize('seed', range(3))
def test_as_plain_loops_do(seed):
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(0, 6, size=(40, 2)).astype(float), rng.integers(0, 6, size=(90, 2)).astype(float)
    group_truth, group = np.sort(rng.integers(0, 4, size=40)), rng.integers(0, 5, size=90)
    begin, end = np.searchsorted(group_truth, group), np.searchsorted(group_truth, group, side='right')
    ours = match(found, begin, end, truth, np.array([0.5, 1.0, 2.0]))
    assert 40 < (ours >= 0).sum() < 120
    for row, threshold in zip(ours, (0.5, 1.0, 2.0)):
        taken = set()
        for i in range(90):
            best, nearest = np.inf, -1
            for j in range(40):
                distance = np.linalg.norm(truth[j] - found[i])
                if group_truth[j] == group[i] and j not in taken and distance < best:
                    best, nearest = distance, j
            nearest = nearest if best < threshold else -1
            taken.add(nearest)
            assert row[i] == nearest
