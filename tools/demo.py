"""Show what models see: a picture of a keyframe, a film of a scene, and a page to look around in.

    python tools/demo.py                                     # the quick start's two students on its data
    python tools/demo.py CONFIG CHECKPOINT CONFIG CHECKPOINT --names student distilled --scene scene-0103
    python tools/demo.py CONFIG CHECKPOINT --data-root data/nuscenes --version v1.0-mini --sample TOKEN

Writes sheet.png, scene.gif, scene.mp4 and demo.html. The page is one file that needs no server: open it in a browser.
"""

from pathlib import Path

from demonstration.command_line import QUICKSTART, parse_args

from dualdistill_cli import check_writable, require_files, run_tool


def check_models(args):
    """Name a missing file before anything heavy is imported, and what makes it.

    Raises:
        FileNotFoundError: The first file that is not there.
    """
    if not args.pairs:
        for model in args.models:
            if not Path(model.checkpoint).is_file():
                raise FileNotFoundError(
                    f'no file {model.checkpoint}: run `bash scripts/quickstart.sh` first (about ten minutes), which '
                    f'trains both students into {QUICKSTART}, or name models of yours: demo.py CONFIG CHECKPOINT ...'
                )
    require_files(*(path for model in args.models for path in (model.config, model.checkpoint)))


def credit_of(dataset, wanted):
    """str: The line below the pictures: the one that is wanted, or nuScenes' for an official version of real data."""
    from mmdet3d_plugin.datasets.infos.splits import VERSION_SPLITS
    from mmdet3d_plugin.synthetic.generate import MANIFEST

    if wanted is not None:
        return wanted
    real = dataset.version in VERSION_SPLITS and not (Path(dataset.data_root) / MANIFEST).exists()
    return 'Drawn from nuScenes data, (c) Motional, CC BY-NC-SA 4.0.' if real else ''


def title_of(names):
    """'What a, b and c see'."""
    if len(names) == 1:
        return f'What {names[0]} sees'
    return f'What {", ".join(names[:-1])} and {names[-1]} see'


def collect(args):
    """Frames to show, the range around the car (x_min, y_min, x_max, y_max in m) and the credit.

    The first model's data set says which keyframes are shown, and gives their images, points and ground truth.
    """
    from demonstration.choice import choose
    from demonstration.predict import load_models, make_frames, open_config, predict
    from demonstration.tables import write_infos

    wanted = dict(scenes=args.scene, sample=args.sample, frames=args.frames)
    infos, predictions, shown = {}, {}, None
    if args.version:
        root = args.data_root or open_config(args.models[0], args, {}).data.test.data_root
        infos = write_infos(root, args.version, args.out_dir / 'infos', cameras=args.cameras, **wanted)
    for name, cfg, detector, dataset in load_models(args.models, args, infos):
        if shown is None:
            shown, x_y_z = dataset, cfg.point_cloud_range
            chosen = choose(dataset.data_infos.columns, dataset.ann_file, **wanted)
            tokens = [dataset.data_infos.columns.token[index].decode() for index in chosen]
        predictions[name] = predict(name, detector, dataset, tokens)
    frames = make_frames(shown, chosen, predictions, args.camera_width)
    half = args.range
    bev_range = (*x_y_z[:2], *x_y_z[3:5]) if half is None else (-half, -half, half, half)
    return frames, bev_range, credit_of(shown, args.credit)


def write(frames, bev_range, credit, args):
    """Yield the files as they are written."""
    from mmdet3d_plugin.visualization.comparison import draw_comparison
    from mmdet3d_plugin.visualization.film import write_gif, write_mp4
    from mmdet3d_plugin.visualization.image_file import write_image
    from mmdet3d_plugin.visualization.scene_page import page_content, write_page
    from mmdet3d_plugin.visualization.sheet import draw_frame

    sheet = draw_frame(frames[len(frames) // 2], bev_range, args.score_thr, args.camera_width, credit)
    write_image(args.out_dir / 'sheet.png', sheet)
    yield args.out_dir / 'sheet.png'
    if len(frames) > 1:
        images = [draw_comparison(frame, bev_range, args.score_thr, credit=credit) for frame in frames]
        write_gif(images, args.out_dir / 'scene.gif', args.fps)
        yield args.out_dir / 'scene.gif'
        if write_mp4(images, args.out_dir / 'scene.mp4', args.fps):
            yield args.out_dir / 'scene.mp4'
        else:
            print('no scene.mp4: this OpenCV has no encoder for it')
    content = page_content(
        frames, bev_range, title=title_of(list(frames[0].models)), threshold=args.score_thr, credit=credit, fps=args.fps
    )
    write_page(args.out_dir / 'demo.html', content)
    yield args.out_dir / 'demo.html'


def main(argv=None):
    """Run the models and write the files."""
    args = parse_args(__doc__, argv)
    check_models(args)
    check_writable({'--out-dir': str(args.out_dir)})
    frames, bev_range, credit = collect(args)
    for path in write(frames, bev_range, credit, args):
        print(f'{path} ({path.stat().st_size / 1e6:.1f} MB)')
    print(f'open {args.out_dir / "demo.html"} in a browser')


if __name__ == '__main__':
    run_tool(main)
