"""``benchmark.py step``: the distilled training step part by part, beside the student's own step and the teacher."""

import math
import resource
import statistics

import torch
from mmcv.runner import OptimizerHook, build_optimizer

from .models import build_distiller, made_up_batch, make_center_head_sure, read_config
from .part_timer import PartTimer
from .timing import paired_times, summary

PARTS = ('student forward', 'teacher forward', 'aligners', 'regions', 'student losses', 'feature losses', 'CRD',
         'backward', 'optimizer')  # fmt: skip
_DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)


def measure(args):
    """(numbers by name, e.g. 'step.fp32.batch1.student_forward.median_ms'; a table with a column per setting)."""
    cfg = read_config(args)
    model, random_teacher = build_distiller(cfg, args)
    numbers, columns = {'step.random_teacher': random_teacher}, [_first_column()]
    for precision in args.precision:
        for batch_size in args.batch:
            found = _measure_setting(cfg, model, random_teacher, args, precision, batch_size)
            columns.append((f'{precision}, batch {batch_size}', *_column(found)))
            name = f'step.{precision}.batch{batch_size}'
            numbers.update({f'{name}.{key}': value for key, value in found.items()})
    return numbers, dict(step=list(zip(*columns)))


def _measure_setting(cfg, model, random_teacher, args, precision, batch_size):
    """Numbers of one precision and batch size; only ``out_of_memory`` where the device has too little."""
    title = f'step, {precision}, batch {batch_size}'
    try:
        batch = made_up_batch(cfg, model.student, args, batch_size)
        if random_teacher:
            make_center_head_sure(model.teacher, batch, args.teacher_cells)
        steps = _Steps(cfg, model, batch, args.device, _DTYPES[precision])
        try:
            runs = dict(distilled=steps.distilled, student=steps.student, teacher=steps.teacher)
            times = paired_times(title, runs, args.rounds, args.device, warmup=1)
            parts = steps.timer.seconds(args.rounds)
        finally:
            steps.timer.stop()
    except torch.cuda.OutOfMemoryError:
        model.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        return dict(out_of_memory=True)
    if not math.isfinite(steps.log['loss']):
        raise RuntimeError(f'{title}: the loss is {steps.log["loss"]}, times of such a step mean nothing')
    found = _statistics(times, parts)
    found['samples_per_s'] = 1e3 * batch_size / found['distilled.median_ms']
    found['teacher_boxes'] = steps.log.get('crd.num_boxes', 0.0)
    found['peak_memory_gib'] = _peak_memory_gib(args.device)
    return found


class _Steps:
    """Three ways to spend a batch. The learning rate is 0: the optimizer does all its work and no weight drifts."""

    def __init__(self, cfg, model, batch, device, dtype):
        self.model, self.batch = model, batch
        self.autocast = torch.autocast(device, dtype, enabled=dtype != torch.float32)
        self.optimizer = build_optimizer(model, dict(cfg.optimizer, lr=0.0))
        grad_clip = cfg.get('optimizer_config', {}).get('grad_clip')
        self.clip = OptimizerHook(grad_clip).clip_grads if grad_clip else lambda parameters: None
        self.timer = PartTimer(device)
        self._watch()
        self._backward = self.timer.wrap(torch.Tensor.backward, 'backward')
        self._update = self.timer.wrap(self._update, 'optimizer')
        if device == 'cuda':
            torch.cuda.reset_peak_memory_stats()

    def _watch(self):
        model, teacher, watch = self.model, self.model.teacher, self.timer.watch
        watch(model.student, 'extract_bev', 'student forward')
        watch(model.student, 'loss_from_bev', 'student losses')
        watch(teacher, 'extract_bev', 'teacher forward')
        watch(teacher, 'respond', 'teacher forward')
        watch(teacher, 'respond_lazily', 'CRD')
        watch(model, '_regions', 'regions')
        for aligner in model.distill['aligners'].values():
            watch(aligner, 'forward', 'aligners')
        for loss in model.distill['losses'].values():
            watch(loss, 'forward', 'feature losses')
        if model.response is not None:
            watch(model.response, 'forward', 'CRD')

    def distilled(self):
        """A step of the distiller, its parts timed."""
        with self.timer.one_round():
            self.log = self._step(self.model)

    def student(self):
        """A step of the student alone."""
        self._step(self.model.student)

    @torch.no_grad()
    def teacher(self):
        """What distillation asks of the teacher: its maps, and predictions where a loss reads them."""
        model, bev = self.model, self.model.teacher.extract_bev(self.batch)
        if model.response is not None or any(loss.needs_false_positives for loss in model.feature_losses.values()):
            model.teacher.respond(bev.head_map, self.batch['img_metas'])

    def _step(self, model):
        with self.autocast:
            outputs = model.train_step(self.batch, None)
        self._backward(outputs['loss'])
        self._update()
        return outputs['log_vars']

    def _update(self):
        self.clip(list(self.model.parameters()))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def _statistics(times, parts):
    found = {}
    for name, seconds in {**times, **parts}.items():
        found.update({f'{name.replace(" ", "_")}.{key}': value for key, value in summary(seconds).items()})
    rounds = list(zip(*(times[name] for name in ('distilled', 'student', 'teacher'))))
    beyond = [(distilled - student - teacher) / student for distilled, student, teacher in rounds]
    found['overhead_share_of_student_step'] = statistics.median(beyond)
    return found


def _peak_memory_gib(device):
    """Of tensors on a GPU since the last reset; on a CPU of the whole process since its start, so batches must rise."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _first_column():
    rest = ('distilled step', "student's own step", 'teacher alone', 'beyond student + teacher', 'samples/s')
    return ('ms (share of the step)', *PARTS, *rest, 'peak memory, GiB', 'teacher boxes a sample')


def _column(found):
    if 'out_of_memory' in found:
        return ['out of memory'] * (len(_first_column()) - 1)

    def median(name):
        return found.get(f'{name.replace(" ", "_")}.median_ms', 0.0)

    whole = median('distilled')
    cells = [f'{median(part):.1f} ({100 * median(part) / whole:.1f} %)' for part in PARTS]
    cells += [f'{median(name):.1f}' for name in ('distilled', 'student', 'teacher')]
    cells.append(f"{100 * found['overhead_share_of_student_step']:.1f} % of the student's step")
    return [
        *cells, f'{found["samples_per_s"]:.3g}', f'{found["peak_memory_gib"]:.2f}', f'{found["teacher_boxes"]:.1f}'
    ]  # fmt: skip
