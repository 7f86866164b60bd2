"""Verify a teacher's checkpoint before anything is distilled from it.

    python tools/analysis_tools/verify_teacher.py <teacher config> <checkpoint> --student <student config>
    python tools/analysis_tools/verify_teacher.py <distillation config>          # its teacher against its student
    python tools/analysis_tools/verify_teacher.py <config> <checkpoint> --data --samples 200 --record

Looks at the keys of each module, at signs of training in the weights, at class order, box convention and voxel range in
meta and weights. With ``--data``: mAP and NDS on samples of ``data.val``, and whether detections lie on objects of
their class with the right sizes and yaws. One line a finding; exit code 1 when any is wrong.
"""

from dualdistill_cli import ToolParser, add_cfg_options, run_tool


def parse_args(argv=None):
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help="the teacher's config, or a distillation config")
    parser.add_argument('checkpoint', nargs='?', help="default: a distillation config's own")
    parser.add_argument('--student', help='student or distillation config whose BEV the teacher must share')
    parser.add_argument('--data', action='store_true', help='run on samples of data.val, with scores by the devkit')
    parser.add_argument('--samples', type=int, default=200, help='samples of --data (default: %(default)s)')
    parser.add_argument('--min-map', type=float, default=0.05, help='mAP below it is wrong (default: %(default)s)')
    parser.add_argument('--record', action='store_true', help='keep the scores beside the checkpoint; needs --data')
    add_cfg_options(parser, help="overrides of the teacher's config")
    args = parser.parse_args(argv)
    if args.record and not args.data:
        parser.error('--record keeps what --data measures: give both')
    return args


def print_coverage(rows):
    """Key counts of each module as a table."""
    from mmdet3d_plugin.audit.wiring_table import columns

    header = ('module', 'keys', 'found', 'missing', 'misshaped', 'unexpected')
    cells = [(r.module, *map(str, (r.keys, r.found, r.missing, r.misshaped, r.unexpected))) for r in rows]
    print('\n'.join(columns([header, *cells])), end='\n\n')


def run_on_data(args, setup, teacher, state, sha256, findings):
    """Findings of ``--data``, none of substance for weights that do not fit; keeps the scores when asked to."""
    from mmdet3d_plugin.audit.teacher_data import data_findings
    from mmdet3d_plugin.checkpoints.findings import Finding
    from mmdet3d_plugin.checkpoints.teacher_record import record_path, write_record

    if any(finding.check == 'keys' and finding.verdict != 'ok' for finding in findings):
        return [Finding('scores', 'unknown', 'not measured: the keys do not fit')]
    metrics, of_data, count = data_findings(teacher, state, setup.cfg, args.samples, args.min_map)
    if args.record:
        write_record(setup.checkpoint, sha256, metrics, count)
        print(f'scores: {record_path(setup.checkpoint)}')
    return of_data


def main(argv=None):
    """Print findings; returns the exit code."""
    args = parse_args(argv)
    from mmdet3d_plugin.audit.student_fits_teacher import student_finding
    from mmdet3d_plugin.audit.teacher_manifest import entries_of
    from mmdet3d_plugin.audit.teacher_setup import build_sides, verification_setup
    from mmdet3d_plugin.checkpoints.checkpoint_findings import checkpoint_findings, file_findings
    from mmdet3d_plugin.checkpoints.files import file_sha256, read_checkpoint
    from mmdet3d_plugin.checkpoints.told_by_weights import key_coverage

    setup = verification_setup(args.config, args.checkpoint, args.student, args.cfg_options)
    state, meta = read_checkpoint(setup.checkpoint)
    sha256 = file_sha256(setup.checkpoint)
    teacher, student = build_sides(setup)
    print(f'{setup.config}\n{setup.checkpoint}, sha256 {sha256}\n')
    for entry in entries_of(setup.config):
        print(f'known teacher {entry}')
    print_coverage(key_coverage(teacher, state))
    findings = [*file_findings(setup.checkpoint, sha256), *checkpoint_findings(teacher, state, meta)]
    if student is not None:
        findings.append(student_finding(student, teacher))
    if args.data:
        findings += run_on_data(args, setup, teacher, state, sha256, findings)
    print('\n'.join(map(str, findings)))
    counts = {verdict: sum(f.verdict == verdict for f in findings) for verdict in ('wrong', 'unknown')}
    print(f'\n{counts["wrong"]} wrong, {counts["unknown"]} unknown of {len(findings)} findings')
    return 1 if counts['wrong'] else 0


if __name__ == '__main__':
    run_tool(main)
