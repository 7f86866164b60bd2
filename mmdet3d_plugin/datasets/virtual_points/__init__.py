"""Virtual points: LiDAR points made from camera instance masks, one file per LiDAR sweep."""

from .storage import VirtualFileError, VirtualPoints, read_virtual_file, virtual_path, write_virtual_file

__all__ = ['VirtualFileError', 'VirtualPoints', 'read_virtual_file', 'virtual_path', 'write_virtual_file']
