"""Reading mmcv's JSON logs and what goes into which panel."""

import json

import numpy as np
import pytest

from mmdet3d_plugin.visualization.curves import draw_curves, panels, read_log, read_run


def train(epoch, iteration, **values):
    return dict(mode='train', epoch=epoch, iter=iteration, lr=0.1, **values)


def write(path, records):
    path.write_text('\n'.join(json.dumps(record) for record in records) + '\n')


def test_log_leaves_out_environment_and_broken_lines(tmp_path):
    path = tmp_path / 'a.log.json'
    path.write_text('{"env_info": "x"}\n{"mode": "train", "epoch": 1, "iter": 5}\n[1]\n{"mode": "tra')
    assert read_log(path) == [dict(mode='train', epoch=1, iter=5)]


def test_resumed_run_replaces_repeated_epochs(tmp_path):
    validation = dict(mode='val', epoch=1, iter=9, mAP=0.1)
    write(tmp_path / '20240101.log.json', [train(1, 10, loss=1.0), validation, train(2, 10, loss=7.0)])
    write(tmp_path / '20240102.log.json', [train(2, 10, loss=2.0), train(3, 10, loss=3.0)])
    records = read_run(tmp_path)
    assert [record.get('loss') for record in records] == [1.0, None, 2.0, 3.0]


def test_log_without_records_keeps_the_others(tmp_path):
    write(tmp_path / '1.log.json', [train(1, 10, loss=1.0)])
    write(tmp_path / '2.log.json', [dict(env_info='started and stopped')])
    assert len(read_run(tmp_path)) == 1


def test_missing_log_names_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='not the work dir'):
        read_run(tmp_path)


def test_terms_are_summed_into_their_panels():
    record = train(
        2, 5, loss=10.0, loss_depth=1.0, grad_norm=3.0,
        **{'task0.loss_heatmap': 1.0, 'task1.loss_heatmap': 2.0, 'task0.loss_bbox': 4.0,
           'distill.backbone1.loss_fg': 0.5, 'distill.head.loss_bg': 0.25, 'distill.head.raw_bg': 100.0,
           'crd.task0.loss_bbox': 0.125, 'my_loss': 9.0,
           'loss_cls': 0.5, 'd0.loss_cls': 0.25, 'loss_bbox': 2.0, 'd1.loss_bbox': 1.0},
    )  # fmt: skip
    series = panels([train(1, 10, loss=11.0), record, dict(mode='val', epoch=2, iter=3, mAP=0.3, NDS=0.4)])
    last = {title: values[-1] for title, (_, values) in series.items()}
    assert last == {
        'loss (all terms)': 10.0, 'learning rate': 0.1, 'depth': 1.0, 'heatmaps': 3.0, 'boxes': 7.0,
        'classes of queries': 0.75, 'feature distillation': 0.75, 'response distillation': 0.125, 'my_loss': 9.0,
        'val mAP': 0.3, 'val NDS': 0.4,
    }  # fmt: skip
    np.testing.assert_allclose(series['loss (all terms)'][0], [1.0, 1.5])


def test_learning_rate_of_several_optimizers():
    assert panels([dict(train(1, 1), lr={'a': 0.1, 'b': 0.3})])['learning rate'][1] == [0.3]


def test_picture_size_grows_with_the_panels():
    few = draw_curves({'a': [train(1, 1, loss=1.0)]}, panel_size=(2, 2), dpi=50)
    assert few.dtype == np.uint8 and few.shape == (120, 200, 3)  # loss and learning rate, a line for the names
    many = draw_curves({'a': [train(1, 1, loss=1.0, x_loss=1, loss_depth=2)]}, panel_size=(2, 2), dpi=50)
    assert many.shape == (220, 300, 3)


def test_second_run_is_drawn_over_the_first():
    one = [train(1, 1, loss=1.0), train(2, 1, loss=2.0)]
    two = [train(1, 1, loss=2.0), train(2, 1, loss=1.0)]
    alone, both = draw_curves({'a': one}), draw_curves({'a': one, 'b': two})
    assert alone.shape == both.shape and (alone != both).any()


def test_nothing_to_plot_is_an_error():
    with pytest.raises(ValueError, match='nothing to plot'):
        draw_curves({'a': []})
