"""``benchmark.py inference``: how fast a trained model answers, and what memory it takes."""

import functools

import torch
from mmcv.cnn import fuse_conv_bn

from .models import build_tested, made_up_batch, read_config
from .timing import paired_times, peak_extra_mib, summary

_DTYPES = dict(fp32=torch.float32, fp16=torch.float16, bf16=torch.bfloat16)
_HEADER = ('inference', 'whole, ms', 'network alone, ms', 'frames/s', 'weights, MiB', 'peak extra memory, MiB')


@torch.no_grad()
def measure(args):
    """(numbers by name, e.g. 'inference.fp32.batch1.frames_per_s'; a table with a row per setting).

    A frame is a keyframe: all its cameras, and the previous frame where the model uses one.
    """
    cfg = read_config(args)
    model = build_tested(cfg, args.device, args.checkpoint)
    if args.fuse_conv_bn:
        model = fuse_conv_bn(model)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values()) / 2**20
    numbers, rows = {'inference.weights_mib': weights}, [_HEADER]
    for precision in args.precision:
        for batch_size in args.batch:
            batch = made_up_batch(cfg, model, args, batch_size, testing=True)
            whole = functools.partial(_answer, model, batch, args.device, _DTYPES[precision], True)
            network = functools.partial(_answer, model, batch, args.device, _DTYPES[precision], False)
            title, name = f'{precision}, batch {batch_size}', f'inference.{precision}.batch{batch_size}'
            times = paired_times(f'inference, {title}', dict(whole=whole, network=network), args.rounds, args.device)
            found = {f'{part}.{key}': ms for part in times for key, ms in summary(times[part]).items()}
            found['frames_per_s'] = 1e3 * batch_size / found['whole.median_ms']
            found['peak_extra_mib'] = peak_extra_mib(whole, args.device)
            numbers.update({f'{name}.{key}': value for key, value in found.items()})
            rows.append((title, *_cells(found, weights)))
    return numbers, dict(inference=rows)


def _answer(model, batch, device, dtype, decode):
    """A forward pass, up to the head's maps or to boxes; nothing is remembered of the one before."""
    model.reset()
    with torch.autocast(device, dtype, enabled=dtype != torch.float32):
        if decode:
            model(return_loss=False, **batch)
        else:
            model.head.predict(model.extract_bev(batch).head_map, batch['img_metas'])


def _cells(found, weights):
    whole = f'{found["whole.median_ms"]:.1f} ({found["whole.low_ms"]:.1f} to {found["whole.high_ms"]:.1f})'
    speed, memory = f'{found["frames_per_s"]:.3g}', f'{found["peak_extra_mib"]:.0f}'
    return whole, f'{found["network.median_ms"]:.1f}', speed, f'{weights:.0f}', memory
