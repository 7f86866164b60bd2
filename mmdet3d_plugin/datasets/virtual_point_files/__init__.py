"""Files of virtual points, one per LiDAR sweep: reading, writing and the layout of the points a model gets."""

from .storage import VirtualFileError, VirtualPoints, read_virtual_file, virtual_path, write_virtual_file

__all__ = ['VirtualFileError', 'VirtualPoints', 'read_virtual_file', 'virtual_path', 'write_virtual_file']
