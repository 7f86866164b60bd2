"""Data, trainings, evaluations, pictures: which commands run, in which order, and where their files lie."""

import json
from pathlib import Path

from mmcv import Config

from .commands import as_flags, command_step
from .data_steps import data_steps
from .relocate import data_options


class Plan:
    """The steps of a workflow over several models and seeds, and where their files lie.

    Args:
        configs (dict[str, str]): Model name -> config file, in training order; a teacher before those it teaches.
        synthetic (dict): Flags of the data generator, see :func:`data_steps`.
        pictures (dict | None): Flags of the prediction drawing, without dashes, for which ``student`` must be among
            the configs; None leaves out pictures and curves.
        out_dir (Path): Checkpoints, logs, metrics and the report.
        data_root (Path | None): Generated data set that the user chose; None takes ``own_data_root``.
        seeds (list[int]): Seed 0's runs are named after the model, the others get ``_seedN``.
        own_data_root (Path | None): Folder that the workflow may replace; None takes that of the config ``teacher``.
        database (bool): Collect objects for ground-truth sampling.
        options (Sequence[str]): More ``--cfg-options`` of every training and evaluation.
        evaluate_on (tuple[Path, dict] | None): Data root and generator's flags of a set only to evaluate on; None
            takes the validation split of the training set.
    """

    def __init__(
        self, configs, synthetic, pictures, out_dir, data_root, seeds, *, own_data_root=None, database=False,
        options=(), evaluate_on=None,
    ):  # fmt: skip
        self.config_files, self.pictures, self.options = configs, pictures, options
        self.out_dir, self.seeds = out_dir, seeds
        self.configs = {name: Config.fromfile(file, import_custom_modules=False) for name, file in configs.items()}
        own = own_data_root or Path(self.configs['teacher'].data.val.data_root)
        self.data_root = data_root or own
        self.data_steps = data_steps(self.data_root, synthetic, overwrite=data_root is None, database=database)
        self.eval_root, self.eval_data_steps = self.data_root, []
        if evaluate_on is not None:
            self.eval_root, flags = evaluate_on
            self.eval_data_steps = data_steps(self.eval_root, flags, overwrite=True, prefix='eval_')
        self.runs = {seed: {} for seed in seeds}
        for seed in seeds:
            for name in configs:
                self.runs[seed][name] = self._run_steps(name, seed)
        self.picture_steps = [] if pictures is None else self._picture_steps()

    @property
    def steps(self):
        """list[Step]: Every step in running order."""
        runs = [step for models in self.runs.values() for pair in models.values() for step in pair]
        return [*self.data_steps, *self.eval_data_steps, *runs, *self.picture_steps]

    def run_dir(self, name, seed):
        """Path: work folder of one training."""
        return self.out_dir / (name if seed == 0 else f'{name}_seed{seed}')

    def checkpoint(self, name, seed):
        """Path: the last epoch's checkpoint of one training."""
        return self.run_dir(name, seed) / f'epoch_{self.configs[name].runner.max_epochs}.pth'

    def predictions(self, name, seed):
        """Path: detections of one model in nuScenes format."""
        return self.run_dir(name, seed) / 'eval' / 'results_nusc.json'

    def _teacher_of(self, name):
        """str: Name of the model that teaches ``name``, the one trained from the config that its config names."""
        wanted = self.configs[name].model.teacher.config
        return next(other for other, file in self.config_files.items() if file == wanted)

    def _run_steps(self, name, seed):
        """Training and evaluation of one model."""
        config, work_dir = self.configs[name], self.run_dir(name, seed)
        settings = json.dumps(config._cfg_dict.to_dict(), sort_keys=True, default=str)
        after = [self.data_steps[-1]]
        if 'teacher' in config.model:
            after.append(self.runs[seed][self._teacher_of(name)][0])
        suffix = work_dir.name
        train = command_step(
            f'train_{suffix}',
            f'train {suffix}',
            ['tools/train.py', self.config_files[name], '--work-dir', work_dir, '--seed', seed,
             *self._cfg_options(name, seed, self.data_root)],
            self.out_dir,
            outputs=(self.checkpoint(name, seed),),
            settings=settings,
            after=tuple(after),
            work_dir=work_dir,
            resume_flag='--auto-resume',
            max_epochs=config.runner.max_epochs,
        )  # fmt: skip
        evaluate = command_step(
            f'eval_{suffix}',
            f'evaluate {suffix}',
            ['tools/test.py', self.config_files[name], self.checkpoint(name, seed), '--work-dir', work_dir / 'eval',
             '--out', work_dir / 'results.pkl', '--eval', 'bbox',
             '--eval-options', f'jsonfile_prefix={work_dir / "eval"}',
             *self._cfg_options(name, seed, self.eval_root)],
            self.out_dir,
            outputs=(self.predictions(name, seed),),
            after=(train, *self.eval_data_steps[-1:]),
        )  # fmt: skip
        return train, evaluate

    def _cfg_options(self, name, seed, root):
        """list[str]: The flag and what it changes: data in ``root``, the teacher's weights, the user's options."""
        config = self.configs[name]
        options = data_options(config, root.as_posix())
        options += self.options
        if 'teacher' in config.model:
            options.append(f'model.teacher.checkpoint={self.checkpoint(self._teacher_of(name), seed)}')
        return ['--cfg-options', *options] if options else []

    def _picture_steps(self):
        first, evaluations = self.seeds[0], [pair[1] for pair in self.runs[self.seeds[0]].values()]
        options = data_options(self.configs['student'], self.eval_root.as_posix())
        predictions = [f'{name}={self.predictions(name, first)}' for name in self.configs]
        draw = command_step(
            'pictures',
            'draw predictions',
            ['tools/visualization/draw_predictions.py', self.config_files['student'], '--pred', *predictions,
             '--out-dir', self.out_dir / 'pictures', *as_flags(self.pictures),
             *(['--cfg-options', *options] if options else [])],
            self.out_dir,
            outputs=(self.out_dir / 'pictures',),
            after=tuple(evaluations),
            work_dir=self.out_dir / 'pictures',
        )  # fmt: skip
        runs = [f'{self.run_dir(name, seed).name}={self.run_dir(name, seed)}' for seed in self.seeds
                for name in self.configs]  # fmt: skip
        curves = command_step(
            'curves',
            'plot training curves',
            ['tools/analysis_tools/plot_curves.py', *runs, '--out', self.out_dir / 'curves.png'],
            self.out_dir,
            outputs=(self.out_dir / 'curves.png',),
            after=tuple(pair[0] for models in self.runs.values() for pair in models.values()),
        )
        return [draw, curves]
