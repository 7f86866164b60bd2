"""Channel gate driven by camera parameters, the camera awareness of BEVDepth's depth net (arXiv 2206.10092)."""

from torch import Tensor, nn


class CameraGate(nn.Module):
    """1x1 convolution of the image feature times ``sigmoid(FC(BN(camera numbers)))``.

    Args:
        in_channels: channels of the image feature.
        out_channels: channels after the 1x1 convolution, and of the gate.
        num_numbers: numbers describing one camera.
    """

    def __init__(self, *, in_channels: int, out_channels: int, num_numbers: int) -> None:
        super().__init__()
        self.input_conv = nn.Conv2d(in_channels, out_channels, 1)
        self.fc = nn.Sequential(nn.BatchNorm1d(num_numbers), nn.Linear(num_numbers, out_channels), nn.Sigmoid())

    def forward(self, feature: Tensor, numbers: Tensor) -> Tensor:
        """feature (M, C, h, w) and numbers (M, num_numbers) of M images -> (M, out_channels, h, w)."""
        return self.input_conv(feature) * self.fc(numbers)[..., None, None]
