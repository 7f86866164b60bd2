from types import SimpleNamespace

import torch

from mmdet3d_plugin.hooks import TrainingSummaryHook


def test_one_line_tells_batch_size_and_base_learning_rates():
    lines = []
    parameters = [torch.nn.Parameter(torch.zeros(1_000_000)), torch.nn.Parameter(torch.zeros(500_000))]
    optimizer = torch.optim.SGD([dict(params=parameters[:1], lr=0.1), dict(params=parameters[1:], lr=0.01)])
    optimizer.param_groups[0].update(initial_lr=0.1, lr=0.0001)  # as the warm-up leaves it
    runner = SimpleNamespace(
        data_loader=torch.utils.data.DataLoader(range(12), batch_size=3),
        hooks=[SimpleNamespace(), SimpleNamespace(cumulative_iters=4)],
        optimizer=optimizer,
        world_size=2,
        logger=SimpleNamespace(info=lines.append),
    )
    hook = TrainingSummaryHook()
    hook.before_train_epoch(runner)
    hook.before_train_epoch(runner)
    assert lines == [
        'effective batch size 24 = 2 process(es) x 3 sample(s) x 4 accumulated iteration(s); '
        'base learning rate 0.01, 0.1; 4 iterations per epoch; 1.50 M trained parameters'
    ]
