"""Data, trainings, evaluations, pictures: which commands run, in which order, and where their files lie."""

from pathlib import Path
from typing import Optional

from workflow.step import Step

from .command_line import as_flags
from .config_file import data_options, read_config, settings_text
from .data_steps import data_steps
from .labels import LabelShare


class Plan:
    """The steps of a workflow over several models and seeds, and where their files lie.

    Args:
        configs (dict[str, str]): Model name -> config file, in training order; a teacher before those it teaches, a
            model before those that start from its weights.
        synthetic: Flags of the data generator, see :func:`data_steps`.
        out_dir: Checkpoints, logs, metrics and the report.
        data_root: Generated data set that the user chose; None takes ``own_data_root``.
        seeds (list[int]): Seed 0's runs are named after the model, the others get ``_seedN``.
        pictures: Flags of the prediction drawing, without dashes, for which ``student`` must be among the configs; None
            leaves out pictures and curves.
        own_data_root: Folder that the workflow may replace; None takes that of the config ``teacher``.
        database: Collect objects for ground-truth sampling.
        options (Sequence[str]): More ``--cfg-options`` of every training and evaluation.
        evaluate_on (tuple[Path, dict] | None): Data root and generator's flags of a set only to evaluate on; None
            takes the validation split of the training set.
        link_frames: Also make the info files of two-frame students.
        labels (dict[str, int] | None): Model name -> percentage of the training scenes that are labelled, see
            :class:`LabelShare`; each seed draws others. Models without an entry are trained as their config says. A
            student's teacher is the one with labels of the same scenes.

    Attributes:
        runs (dict[int, dict[str, tuple[Step, Step]]]): seed -> model name -> training and evaluation.
    """

    def __init__(
        self, configs: dict, synthetic: dict, out_dir: Path, data_root: Optional[Path], seeds: list, *,
        pictures: Optional[dict] = None, own_data_root: Optional[Path] = None, database: bool = False, options=(),
        evaluate_on: Optional[tuple] = None, link_frames: bool = True, labels: Optional[dict] = None,
    ):  # fmt: skip
        self.config_files, self.options, self.out_dir, self.seeds = configs, options, out_dir, seeds
        self.configs = {name: read_config(file) for name, file in configs.items()}
        self.labels = labels or {}
        self._shares = {
            name: LabelShare(self.configs[name], percent, synthetic) for name, percent in self.labels.items()
        }
        for name in self.labels:
            self._check_start(name)
        self.data_root = data_root or own_data_root or Path(self.configs['teacher'].data.val.data_root)
        self.data_steps = data_steps(
            self.data_root, synthetic, overwrite=data_root is None, database=database, link_frames=link_frames
        )
        self.eval_root, self.eval_data_steps = self.data_root, []
        if evaluate_on is not None:
            self.eval_root, flags = evaluate_on
            self.eval_data_steps = data_steps(
                self.eval_root, flags, overwrite=True, prefix='eval_', link_frames=link_frames
            )
        self.runs = {seed: {} for seed in seeds}
        for seed in seeds:
            for name in configs:
                self.runs[seed][name] = self._run_steps(name, seed)
        self.picture_steps = [] if pictures is None else [self._drawing(pictures), self._curves()]

    @property
    def steps(self) -> list:
        """Every step in running order."""
        runs = [step for models in self.runs.values() for pair in models.values() for step in pair]
        return [*self.data_steps, *self.eval_data_steps, *runs, *self.picture_steps]

    def run_dir(self, name: str, seed: int) -> Path:
        """Work folder of one training."""
        return self.out_dir / (name if seed == 0 else f'{name}_seed{seed}')

    def checkpoint(self, name: str, seed: int) -> Path:
        """The last epoch's checkpoint of one training."""
        return self.run_dir(name, seed) / f'epoch_{self._epochs(name)}.pth'

    def predictions(self, name: str, seed: int) -> Path:
        """Detections of one model in nuScenes format."""
        return self.run_dir(name, seed) / 'eval' / 'results_nusc.json'

    def _epochs(self, name):
        return self._shares[name].epochs if name in self._shares else self.configs[name].runner.max_epochs

    def teacher_of(self, name: str) -> Optional[str]:
        """Name of the model that teaches ``name``: its config file is the one that the config of ``name`` names, and it
        has labels of the same scenes. None for a model without a teacher."""
        wanted = self.configs[name].model.get('teacher')
        return wanted and next(
            other
            for other, file in self.config_files.items()
            if file == wanted.config and self.labels.get(other) == self.labels.get(name)
        )

    def start_of(self, name: str) -> Optional[str]:
        """Name of the model from whose last weights ``name`` starts: the folder of its config's ``load_from`` is called
        like that model's config file, and it has labels of the same scenes. None where the config decides."""
        folder = Path(self.configs[name].get('load_from') or '').parent.name
        return next(
            (
                other
                for other, file in self.config_files.items()
                if Path(file).stem == folder and self.labels.get(other) == self.labels.get(name)
            ),
            None,
        )

    def _check_start(self, name):
        """Labels that a study holds back must not come in by the weights that a run starts from."""
        weights = self.configs[name].get('load_from')
        if weights and not self.start_of(name):
            raise ValueError(
                f'{self.config_files[name]} starts from {weights}, and nobody knows with whose labels that was '
                f'trained: the folder must be called like a config that is compared, too'
            )

    def needed_by(self, name: str) -> list:
        """Names of the models that are trained before ``name`` because it uses their weights."""
        return [other for other in (self.teacher_of(name), self.start_of(name)) if other]

    def _run_steps(self, name, seed):
        """Training and evaluation of one model."""
        config, file, checkpoint = self.configs[name], self.config_files[name], self.checkpoint(name, seed)
        work_dir = self.run_dir(name, seed)
        after = [self.data_steps[-1], *(self.runs[seed][other][0] for other in self.needed_by(name))]
        train = Step.of_tool(
            f'train_{work_dir.name}',
            f'train {work_dir.name}',
            ['tools/train.py', file, '--work-dir', work_dir, '--seed', seed,
             *self._cfg_options(name, seed, self.data_root, self._training_options(name, seed))],
            self.out_dir,
            outputs=(checkpoint,),
            settings=settings_text(config),
            after=tuple(after),
            work_dir=work_dir,
            resume_flag='--auto-resume',
            max_epochs=self._epochs(name),
        )  # fmt: skip
        evaluate = Step.of_tool(
            f'eval_{work_dir.name}',
            f'evaluate {work_dir.name}',
            ['tools/test.py', file, checkpoint, '--work-dir', work_dir / 'eval', '--out', work_dir / 'results.pkl',
             '--eval', 'bbox', '--eval-options', f'jsonfile_prefix={work_dir / "eval"}',
             *self._cfg_options(name, seed, self.eval_root)],
            self.out_dir,
            outputs=(self.predictions(name, seed),),
            after=(train, *self.eval_data_steps[-1:]),
        )  # fmt: skip
        return train, evaluate

    def _training_options(self, name, seed):
        labels, start = self._shares.get(name), self.start_of(name)
        return [
            *(labels.options(seed) if labels else []),
            *([f'load_from={self.checkpoint(start, seed)}'] if start else []),
        ]

    def _cfg_options(self, name, seed, root, more=()):
        """list[str]: The flag and what it changes: data in ``root``, the user's options, the teacher's weights."""
        options = [*data_options(self.configs[name], root.as_posix()), *self.options, *more]
        teacher = self.teacher_of(name)
        if teacher:
            options.append(f'model.teacher.checkpoint={self.checkpoint(teacher, seed)}')
        return ['--cfg-options', *options] if options else []

    def _drawing(self, flags):
        """Step that draws the predictions of the first seed's models."""
        first, folder = self.seeds[0], self.out_dir / 'pictures'
        options = data_options(self.configs['student'], self.eval_root.as_posix())
        return Step.of_tool(
            'pictures',
            'draw predictions',
            ['tools/visualization/draw_predictions.py', self.config_files['student'], '--pred',
             *(f'{name}={self.predictions(name, first)}' for name in self.configs),
             '--out-dir', folder, *as_flags(flags), *(['--cfg-options', *options] if options else [])],
            self.out_dir,
            outputs=(folder,),
            after=tuple(evaluate for _, evaluate in self.runs[first].values()),
            work_dir=folder,
        )  # fmt: skip

    def _curves(self):
        """Step that plots all trainings."""
        folders = [self.run_dir(name, seed) for seed in self.seeds for name in self.configs]
        picture = self.out_dir / 'curves.png'
        return Step.of_tool(
            'curves',
            'plot training curves',
            ['tools/analysis_tools/plot_curves.py', *(f'{path.name}={path}' for path in folders), '--out', picture],
            self.out_dir,
            outputs=(picture,),
            after=tuple(train for models in self.runs.values() for train, _ in models.values()),
        )
