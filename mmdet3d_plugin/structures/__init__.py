"""What everything else speaks in: BEV maps, their sizes and places, detections. Nothing of this package is needed."""

from .bev import BEVFeatures, BEVGrid, BEVLevel
from .detections import Detections

__all__ = ['BEVFeatures', 'BEVGrid', 'BEVLevel', 'Detections']
