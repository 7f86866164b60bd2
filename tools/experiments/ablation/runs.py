"""The runs of one call of the ablation, and the files about them."""

from pathlib import Path

from data_converter.make_synthetic_nuscenes import settings_of
from workflow.progress import clock

from ..command_line import as_flags, default_jobs, describe_machine
from ..plan import Plan
from .configs import add_config, choose_configs, with_teacher
from .report import write_files
from .rows import TEACHER, finished_rows, has_teacher, read_rows, time_left


class Ablation:
    """The runs of one call and the files about them and those of earlier calls.

    Args:
        args (argparse.Namespace): Command line of ``tools/ablation.py``.

    Raises:
        ValueError: The configs cannot be compared, or an earlier ``results.json`` cannot be read.
    """

    def __init__(self, args):
        size, self.out_dir, self.jobs = args.size, args.out_dir, args.jobs or default_jobs()
        self.earlier, _ = read_rows(self.out_dir / 'results.json')
        self.rows = []
        wanted = choose_configs(args.configs, size.configs)
        configs = dict(wanted)
        for row in self.earlier:
            add_config(configs, row['config'], row['config_file'])
        seeds = list(dict.fromkeys([*args.seeds, *(row['seed'] for row in self.earlier)]))
        evaluate_on = None if args.data_root else size.evaluate_on
        self.plan = Plan(
            with_teacher(configs), size.synthetic, self.out_dir, args.data_root, seeds,
            own_data_root=size.data_root, database=size.database, options=size.options,
            evaluate_on=evaluate_on, link_frames=size.link_frames,
        )  # fmt: skip
        names = [name for name in wanted if name in self.plan.configs]
        if any(has_teacher(self.plan, name) for name in names):
            names.insert(0, TEACHER)
        self.runs = {(name, seed): self.plan.runs[seed][name] for seed in args.seeds for name in names}
        _, evaluation = evaluate_on or (None, size.synthetic)
        self.setting = {
            'machine': describe_machine(),
            'training': describe_data(self.plan.data_root, size.synthetic),
            'evaluation': describe_data(self.plan.eval_root, evaluation),
        }

    @property
    def steps(self) -> list:
        """What this call has to do, seed by seed."""
        data = [*self.plan.data_steps, *self.plan.eval_data_steps]
        return [*data, *(step for pair in self.runs.values() for step in pair)]

    def update(self) -> None:
        """Write the files when another run is finished, and say how many are."""
        rows = finished_rows(self.plan)
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
        here = {(row['config'], row['seed']) for row in rows} | set(self.runs)
        for row in self.earlier:
            if (row['config'], row['seed']) not in here:
                print(f'{row["config"]} seed {row["seed"]} leaves the table: its files are gone or settings changed')
        self.earlier = []


def describe_data(root: Path, flags: dict) -> dict:
    """``data_root`` and the generator's ``settings``, for the report."""
    settings = settings_of(['--out-dir', 'unused', *map(str, as_flags(flags))]).manifest()['settings']
    return {'data_root': root.as_posix(), 'settings': settings}
