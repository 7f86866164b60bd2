"""This project's own, not the release's: AOA in place of the 1x1 convolution; LidarFormer teaches BEVFormer R50.

Attention among 40,000 cells is out of reach: its tokens are means of 8 x 8 cells, 25 x 25 of them, and a residual keeps
what is finer. No published number, and none of ours.
"""

_base_ = './lidarformer_to_bevformer_nus_1x1conv_r50.py'

model = dict(levels=dict(bev=dict(aligner=dict(_delete_=True, type='AOAAligner', pool=8, residual=True))))
