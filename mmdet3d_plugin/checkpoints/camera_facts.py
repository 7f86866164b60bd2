"""What no weight shows of a camera detector with a memory, in the words of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from dualdistill_runtime.image_norm import ImageNorm


def camera_facts(
    cameras: Sequence[str],
    image_norm: ImageNorm,
    *,
    alignment: str,
    shift_both: bool,
    motion: tuple[str, str, bool] | None,
    history: bool,
) -> dict[str, str]:
    """What :func:`~.output_meaning.detector_facts` says of cameras, images and earlier frames.

    Detectors and the conversion of published files both come here, so that their words are the same.

    Args:
        cameras: names in the order of a batch.
        image_norm: of the images that the backbone sees.
        alignment, shift_both: those of :class:`BEVFormerEncoder`.
        motion: source, quaternion and whether yaw is wrapped, as :class:`LoadEgoMotion` takes them; None for an
            encoder that reads no motion vector.
        history: whether the frame before is remembered.
    """
    both = ', both references shifted' if shift_both else ''
    facts = dict(cameras=', '.join(cameras), image_norm=str(image_norm), alignment=alignment + both)
    facts.update(history='the frame before' if history else 'none')
    if motion is not None:
        source, quaternion, wrapped = motion
        yaw = 'wrapped' if wrapped else 'not wrapped'
        facts.update(motion_source=f'{source}, quaternion {quaternion}, yaw {yaw}')
    return facts
