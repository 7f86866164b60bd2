"""CameraDepth: the image branch of a BEV student alone, trained on LiDAR depth before the student is."""

from mmcv.runner import auto_fp16
from mmdet3d.models import builder
from mmdet3d.models.detectors import Base3DDetector

from ..pretrained import drop_missing_pretrained
from ..view_transforms.geometry import CameraGeometry


@builder.DETECTORS.register_module()
class CameraDepth(Base3DDetector):
    """Images of the current frame -> depth bins, no BEV map and no boxes.

    Its parameters have the names of :class:`BEVDepth4D`'s, so that ``load_from`` puts them into a student: backbone,
    neck and depth net then know depth, everything behind them starts as it would without. There is nothing to
    evaluate: give ``tools/train.py`` the flag ``--no-validate``, or ``evaluation`` an interval beyond the last epoch.

    Args:
        img_backbone, img_neck, img_view_transformer: those of the student. The view transform's context convolution
            is carried along, untrained.

    Raises:
        ValueError: there is a train_cfg or a test_cfg, which nothing would read.
    """

    def __init__(self, *, img_backbone, img_neck, img_view_transformer, train_cfg=None, test_cfg=None, init_cfg=None):
        super().__init__(init_cfg)
        if train_cfg or test_cfg:
            raise ValueError('CameraDepth has no boxes to assign or decode: leave out train_cfg and test_cfg')
        self.img_backbone = builder.build_backbone(drop_missing_pretrained(img_backbone))
        self.img_neck = builder.build_neck(img_neck)
        self.img_view_transformer = builder.build_neck(img_view_transformer)
        self.img_view_transformer.featnet.requires_grad_(False)

    def bev_levels(self):
        """Sizes of the BEV maps by level name: there are none."""
        return {}

    def extract_feat(self, imgs):
        """(B * N, 3, h, w) images -> (B * N, C, h / stride, w / stride) features."""
        return self.img_neck(self.img_backbone(imgs))

    @auto_fp16(apply_to=('img',))
    def forward(self, return_loss=True, **batch):
        """Losses of a collated batch; there is nothing else to ask for."""
        if not return_loss:
            return self.simple_test(batch)
        return self.forward_train(**batch)

    def forward_train(self, **batch):
        """The depth loss of the current frame, weighted as the student's.

        Args:
            **batch: collated; ``img`` (B, frames, N, 3, h, w), the camera geometry and ``gt_depth`` (B, N, h / stride,
                w / stride), metres, 0 where none, are read.

        Returns:
            dict: ``loss_depth``.
        """
        images = batch['img'][:, 0]
        feature = self.extract_feat(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        logits = self.img_view_transformer.predict_depth(feature, CameraGeometry.of_frame(batch, 0))
        return {'loss_depth': self.img_view_transformer.loss_depth(logits, batch['gt_depth'])}

    def simple_test(self, *args, **kwargs):
        """Unsupported: there are no boxes to evaluate."""
        raise NotImplementedError('CameraDepth detects nothing: evaluate a student that started from its weights')

    aug_test = forward_test = simple_test
