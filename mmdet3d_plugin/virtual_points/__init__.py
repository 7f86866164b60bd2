"""The making of virtual points from camera instance masks, as MVP does; ``datasets/virtual_point_files`` reads them."""
