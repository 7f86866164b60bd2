"""Info files: what the data set class reads instead of the nuScenes tables. Made by the two converters in ``tools``."""
