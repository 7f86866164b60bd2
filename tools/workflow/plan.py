"""The quick start's steps: which commands run, in which order, and where their files lie."""

import json
from pathlib import Path

from data_converter.make_synthetic_nuscenes import settings_of
from mmcv import Config

from mmdet3d_plugin.datasets.infos.info_io import BOX_CONVENTION, SCHEMA
from mmdet3d_plugin.datasets.virtual_points.storage import FORMAT

from .relocate import relocate
from .step import Step


class Plan:
    """The steps of the quick start and where their files lie.

    Args:
        configs (dict[str, str]): Model name -> config file, in training order; ``teacher`` and ``student`` among them.
        synthetic (dict): Flags of the data generator, without dashes; ``version`` among them. With ``instance-masks``,
            virtual points are made from the masks.
        pictures (dict): Flags of the prediction drawing, without dashes.
        out_dir (Path): Checkpoints, logs, metrics and the report.
        data_root (Path | None): Generated data set; None takes the toy configs' own.
        seeds (list[int]): Seed 0's runs are named after the model, the others get ``_seedN``.
    """

    def __init__(self, configs, synthetic, pictures, out_dir, data_root, seeds):
        self.config_files, self.synthetic, self.pictures = configs, synthetic, pictures
        self.out_dir, self.seeds = out_dir, seeds
        self.configs = {name: Config.fromfile(file, import_custom_modules=False) for name, file in configs.items()}
        self.own_data = data_root is None
        self.data_root = data_root or Path(self.configs['teacher'].data.val.data_root)
        self.data_steps = self._data_steps()
        self.runs = {seed: {} for seed in seeds}
        for seed in seeds:
            for name in configs:
                self.runs[seed][name] = self._run_steps(name, seed)
        self.picture_steps = self._picture_steps()

    @property
    def steps(self):
        """list[Step]: Every step in running order."""
        runs = [step for models in self.runs.values() for pair in models.values() for step in pair]
        return [*self.data_steps, *runs, *self.picture_steps]

    def run_dir(self, name, seed):
        """Path: work folder of one training."""
        return self.out_dir / (name if seed == 0 else f'{name}_seed{seed}')

    def checkpoint(self, name, seed):
        """Path: the last epoch's checkpoint of one training."""
        return self.run_dir(name, seed) / f'epoch_{self.configs[name].runner.max_epochs}.pth'

    def predictions(self, name, seed):
        """Path: detections of one model in nuScenes format."""
        return self.run_dir(name, seed) / 'eval' / 'results_nusc.json'

    def _step(self, name, title, command, home=None, **kwargs):
        home = home or self.out_dir
        return Step(
            name=name,
            title=title,
            command=('python', *map(str, command)),
            marker=home / 'steps' / f'{name}.json',
            log=home / 'logs' / f'{name}.log',
            **kwargs,
        )

    def _data_steps(self):
        root, version = self.data_root, self.synthetic['version']
        # Beside the data, as the generator replaces the whole folder; with the data, as several runs may share them.
        home = root.parent / f'.{root.name}-made-by'
        # A set the user pointed at is never replaced.
        overwrite = ['--overwrite'] if self.own_data else []
        words = ['--out-dir', root, *overwrite, *_flags(self.synthetic)]
        make = self._step(
            'synthetic_data',
            'generate synthetic nuScenes data',
            ['tools/data_converter/make_synthetic_nuscenes.py', *words],
            home=home,
            # with the defaults and the generator's version: changing those changes the data too
            settings=json.dumps(settings_of([str(word) for word in words]).manifest(), sort_keys=True),
            outputs=(root / version / 'sample.json',),
        )
        create = self._step(
            'create_data',
            'collect annotations',
            ['tools/create_data.py', 'nuscenes', '--root-path', root, '--out-dir', root, '--extra-tag', 'nuscenes',
             '--version', version],
            home=home,
            settings=f'{SCHEMA} {BOX_CONVENTION}',
            outputs=(root / 'nuscenes_infos_train.pkl', root / 'nuscenes_infos_val.pkl'),
            after=(make,),
        )  # fmt: skip
        prepare = self._step(
            'prepare_4d',
            'link previous camera frames',
            ['tools/data_converter/prepare_nuscenes_for_bevdet4d.py', '--root-path', root, '--version', version],
            home=home,
            outputs=tuple(root / f'nuscenes_infos_{split}_4d_interval3_max60.pkl' for split in ('train', 'val')),
            after=(create,),
        )
        steps = [make, create, prepare]
        if self.synthetic.get('instance-masks'):
            lift = self._step(
                'virtual_points',
                'make virtual points',
                ['tools/data_converter/create_virtual_points.py', '--root-path', root, '--version', version,
                 '--mask-format', 'rendered'],
                home=home,
                settings=FORMAT,
                outputs=(root / 'samples' / 'LIDAR_TOP_VIRTUAL',),
                after=(prepare,),
            )  # fmt: skip
            steps.append(lift)
        return steps

    def _teacher_of(self, name):
        """str: Name of the model that teaches ``name``, the one trained from the config that its config names."""
        wanted = self.configs[name].model.teacher.config
        return next(other for other, file in self.config_files.items() if file == wanted)

    def _run_steps(self, name, seed):
        """Training and evaluation of one model."""
        config, work_dir = self.configs[name], self.run_dir(name, seed)
        settings = json.dumps(config._cfg_dict.to_dict(), sort_keys=True, default=str)
        options = relocate(config._cfg_dict.to_dict(), config.data.val.data_root, self.data_root.as_posix())
        after = [self.data_steps[-1]]
        if 'teacher' in config.model:
            teacher = self._teacher_of(name)
            options.append(f'model.teacher.checkpoint={self.checkpoint(teacher, seed)}')
            after.append(self.runs[seed][teacher][0])
        options = ['--cfg-options', *options] if options else []
        suffix = work_dir.name
        train = self._step(
            f'train_{suffix}',
            f'train {suffix}',
            ['tools/train.py', self.config_files[name], '--work-dir', work_dir, '--seed', seed, *options],
            outputs=(self.checkpoint(name, seed),),
            settings=settings,
            after=tuple(after),
            work_dir=work_dir,
            resume_flag='--auto-resume',
            max_epochs=config.runner.max_epochs,
        )
        evaluate = self._step(
            f'eval_{suffix}',
            f'evaluate {suffix}',
            ['tools/test.py', self.config_files[name], self.checkpoint(name, seed), '--work-dir', work_dir / 'eval',
             '--out', work_dir / 'results.pkl', '--eval', 'bbox',
             '--eval-options', f'jsonfile_prefix={work_dir / "eval"}', *options],
            outputs=(self.predictions(name, seed),),
            after=(train,),
        )  # fmt: skip
        return train, evaluate

    def _picture_steps(self):
        first, evaluations = self.seeds[0], [pair[1] for pair in self.runs[self.seeds[0]].values()]
        options = relocate(
            self.configs['student']._cfg_dict.to_dict(),
            self.configs['student'].data.val.data_root,
            self.data_root.as_posix(),
        )
        predictions = [f'{name}={self.predictions(name, first)}' for name in self.configs]
        draw = self._step(
            'pictures',
            'draw predictions',
            ['tools/visualization/draw_predictions.py', self.config_files['student'], '--pred', *predictions,
             '--out-dir', self.out_dir / 'pictures', *_flags(self.pictures),
             *(['--cfg-options', *options] if options else [])],
            outputs=(self.out_dir / 'pictures',),
            after=tuple(evaluations),
            work_dir=self.out_dir / 'pictures',
        )  # fmt: skip
        runs = [f'{self.run_dir(name, seed).name}={self.run_dir(name, seed)}' for seed in self.seeds
                for name in self.configs]  # fmt: skip
        curves = self._step(
            'curves',
            'plot training curves',
            ['tools/analysis_tools/plot_curves.py', *runs, '--out', self.out_dir / 'curves.png'],
            outputs=(self.out_dir / 'curves.png',),
            after=tuple(pair[0] for models in self.runs.values() for pair in models.values()),
        )
        return [draw, curves]


def _flags(settings):
    """Turn ``{'seed': 0, 'size': (4, 3), 'masks': True}`` into ``['--seed', 0, '--size', 4, 3, '--masks']``."""
    flags = []
    for key, value in settings.items():
        values = [] if value is True else value if isinstance(value, (list, tuple)) else [value]
        flags += [f'--{key}', *values]
    return flags
