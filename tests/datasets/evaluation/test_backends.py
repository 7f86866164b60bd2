"""Where the two evaluations differ is said."""

import pytest

from mmdet3d_plugin.datasets.evaluation import dataset_evaluation
from mmdet3d_plugin.datasets.evaluation.backends import EvaluationsDiffer, check_agreement

NAN = float('nan')


def summary(ap=0.5, error=0.25, seconds=1.0):
    return dict(
        label_aps=dict(car={0.5: ap, 2.0: 0.75}), tp_errors=dict(vel_err=error), eval_time=seconds, cfg=dict(a=1)
    )


def test_agreement_is_to_the_tolerance_and_without_the_time():
    assert check_agreement(summary(), summary(seconds=9.0)) == 0
    assert check_agreement(summary(), summary(ap=0.5 + 5e-10)) == pytest.approx(5e-10)
    with pytest.raises(EvaluationsDiffer, match=r'differs from the devkit in label_aps.car.0.5: 0.5 and 0.500000002'):
        check_agreement(summary(), summary(ap=0.5 + 2e-9))


def test_nan_agrees_with_nan_alone():
    assert check_agreement(summary(error=NAN), summary(error=NAN)) == 0
    for one, other in ((NAN, 0.25), (0.25, NAN)):
        with pytest.raises(EvaluationsDiffer, match='tp_errors.vel_err'):
            check_agreement(summary(error=one), summary(error=other))


def test_keys_of_one_alone_are_named():
    with pytest.raises(EvaluationsDiffer, match=r"only one of the two evaluations has \['nd_score'\]"):
        check_agreement(summary(), dict(summary(), nd_score=0.1))


def test_both_stops_a_data_set_whose_evaluations_differ(keyframes_val, found, monkeypatch):
    devkit = dataset_evaluation.devkit_summary

    def other(*args):
        return dict(devkit(*args), nd_score=0.125)

    monkeypatch.setattr(dataset_evaluation, 'devkit_summary', other)
    with pytest.raises(EvaluationsDiffer, match='differs from the devkit in nd_score: .* and 0.125'):
        keyframes_val.evaluate(found(5), backend='both')
