"""The runs of one call of the ablation, and the files about them."""

from pathlib import Path

from data_converter.make_synthetic_nuscenes import settings_of
from workflow.progress import clock

from ..command_line import as_flags, default_jobs, describe_machine
from ..plan import Plan
from .configs import add_config, choose_configs, with_starts, with_teacher
from .report import write_files
from .rows import Entry, finished_rows, named, read_rows, time_left


class Ablation:
    """The runs of one call and the files about them and those of earlier calls.

    Args:
        args (argparse.Namespace): Command line of ``tools/ablation.py``.

    Raises:
        ValueError: The configs cannot be compared, or an earlier ``results.json`` cannot be read.
    """

    def __init__(self, args):
        study, self.out_dir, self.jobs = args.study, args.out_dir, args.jobs or default_jobs()
        self.earlier, _ = read_rows(self.out_dir / 'results.json')
        self.rows = []
        chosen = choose_configs(args.configs, study.configs)
        groups = {labels: with_starts(study.at(chosen, labels), study.configs) for labels in args.labels}
        wanted = [Entry(name, labels) for labels, configs in groups.items() for name in configs]
        if not wanted:
            raise ValueError(f'{", ".join(chosen)}: none of them is compared with labels of {args.labels} %')
        for row in self.earlier:
            add_config(groups.setdefault(row['labels'], {}), row['config'], row['config_file'])
        self.entries = [Entry(name, labels) for labels, configs in groups.items() for name in configs]
        seeds = list(dict.fromkeys([*args.seeds, *(row['seed'] for row in self.earlier)]))
        evaluate_on = None if args.data_root else study.evaluate_on
        self.plan = self._plan(study, groups, args.data_root, seeds, evaluate_on)
        self.runs = {(name, seed): self.plan.runs[seed][name] for seed in args.seeds for name in self._models(wanted)}
        _, evaluation = evaluate_on or (None, study.synthetic)
        self.setting = {
            'machine': describe_machine(),
            'baseline': study.baseline,
            'training': describe_data(self.plan.data_root, study.synthetic),
            'evaluation': describe_data(self.plan.eval_root, evaluation),
        }

    def _plan(self, study, groups, data_root, seeds, evaluate_on):
        models = {
            Entry(name, labels): file
            for labels, configs in groups.items()
            for name, file in with_teacher(with_starts(configs, study.configs)).items()
        }
        return Plan(
            {str(entry): file for entry, file in models.items()}, study.synthetic, self.out_dir, data_root, seeds,
            own_data_root=study.data_root, database=study.database, options=study.options,
            evaluate_on=evaluate_on, link_frames=study.link_frames,
            labels={str(entry): entry.labels for entry in models if entry.labels is not None},
        )  # fmt: skip

    def _models(self, entries):
        """list[str]: Names in the plan of the entries, those with the same labels after what they need."""
        names = []
        for labels in dict.fromkeys(entry.labels for entry in entries):
            group = [str(entry) for entry in entries if entry.labels == labels]
            names += dict.fromkeys([*(other for name in group for other in self.plan.needed_by(name)), *group])
        return names

    @property
    def steps(self) -> list:
        """What this call has to do, seed by seed."""
        data = [*self.plan.data_steps, *self.plan.eval_data_steps]
        return [*data, *(step for pair in self.runs.values() for step in pair)]

    def update(self) -> None:
        """Write the files when another run is finished, and say how many are."""
        rows = finished_rows(self.plan, self.entries)
        if rows == self.rows:
            return
        write_files(self.out_dir, rows, self.setting)
        self._tell_who_left(rows)
        self.rows = rows
        left = time_left(list(self.runs.values()), self.jobs)
        eta = f', about {clock(left)} to go' if left else ''
        print(f'{len(rows)} finished run(s) in {self.out_dir / "report.md"}{eta}', flush=True)

    def _tell_who_left(self, rows):
        """Name the earlier runs that do not hold any more and are not made anew, once."""
        here = {(str(Entry(row['config'], row['labels'])), row['seed']) for row in rows} | set(self.runs)
        for row in self.earlier:
            if (str(Entry(row['config'], row['labels'])), row['seed']) not in here:
                name = named(row['config'], row['labels'])
                print(f'{name} seed {row["seed"]} leaves the table: its files are gone or settings changed')
        self.earlier = []


def describe_data(root: Path, flags: dict) -> dict:
    """``data_root`` and the generator's ``settings``, for the report."""
    settings = settings_of(['--out-dir', 'unused', *map(str, as_flags(flags))]).manifest()['settings']
    return {'data_root': root.as_posix(), 'settings': settings}
