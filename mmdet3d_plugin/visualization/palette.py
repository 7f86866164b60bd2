"""Colours, all RGB uint8."""

# Blues, reds and violets: the ground truth is green, so no class is.
CLASS_COLOURS = {
    'car': (31, 119, 210),
    'truck': (255, 127, 14),
    'construction_vehicle': (160, 100, 40),
    'bus': (214, 39, 40),
    'trailer': (148, 103, 189),
    'barrier': (90, 90, 110),
    'motorcycle': (227, 66, 175),
    'bicycle': (0, 175, 215),
    'pedestrian': (70, 50, 230),
    'traffic_cone': (230, 170, 0),
}
OTHER_CLASS = (120, 120, 120)
GROUND_TRUTH = (40, 170, 70)
GROUND_TRUTH_FILL = (196, 235, 204)
POINT = (150, 156, 166)
GRID = (222, 225, 230)
BACKGROUND = (250, 250, 250)
TEXT = (40, 44, 52)
# Of ground truth and models on a light and on a dark page, after Okabe and Ito (Color Universal Design), whose colours
# people with any kind of colour vision tell apart.
PAGE_GROUND_TRUTH = ('#00795a', '#35d0a2')
PAGE_MODELS = (('#c4520a', '#ff9a4d'), ('#0067ab', '#62bdf5'), ('#9c3f77', '#e79ac4'), ('#8a6a00', '#f0c93b'))


def class_colour(name):
    """tuple[int, int, int]: Colour of a class; grey for names without one."""
    return CLASS_COLOURS.get(name, OTHER_CLASS)
