"""Settings of the synthetic nuScenes generator and their validation."""

from dataclasses import asdict, dataclass, field, fields

from .classes import CLASS_NAMES
from .rig import ALL_CAMERAS, CAMERAS, LIDAR

# Raised whenever the same settings would give other files, so that an old tree is never taken for a new one.
GENERATOR_VERSION = 3
# The same for instance masks. Kept apart, so that trees without masks stay valid when only the masks change.
MASKS_VERSION = 2
KEYFRAME_HZ = 2
_FASTEST_TURN = 90.0  # degrees/s
MAX_SCENES = {'v1.0-mini': (8, 2), 'v1.0-trainval': (700, 150)}
DEFAULT_OBJECTS = {
    'car': 6,
    'truck': 2,
    'construction_vehicle': 2,
    'bus': 2,
    'trailer': 2,
    'barrier': 4,
    'motorcycle': 3,
    'bicycle': 3,
    'pedestrian': 6,
    'traffic_cone': 4,
}


@dataclass(frozen=True)
class SyntheticConfig:
    """Everything that decides the content of a generated data set (the number of workers does not).

    Lengths are metres, speeds m/s, rates Hz, image sizes pixels. ``val_scenes`` of None takes the official share
    (2 of 10 for v1.0-mini, 150 of 850 for v1.0-trainval), at least one. ``objects`` is the number of objects of each
    class in a scene. ``extent`` bounds the distance from the ego to every annotated object during the whole scene.
    ``cameras`` are names out of ``rig.ALL_CAMERAS``. ``ego_turn`` is the lowest and the highest rate, in degrees/s, at
    which the ego turns through a scene; (0, 0) leaves a road whose heading only swings a little. ``can_bus`` is the
    share of scenes with a file of CAN bus messages. ``lead_in`` is how long, in seconds, all sensors record before the
    first keyframe: in scenes of few keyframes, the first would otherwise be a large share without any history.

    Raises:
        ValueError: on any setting that cannot be met; the text names the setting and what is allowed.
    """

    version: str = 'v1.0-mini'
    scenes: int = 10
    val_scenes: int = None
    keyframes: int = 16
    seed: int = 0
    image_width: int = 400
    image_height: int = 225
    camera_sweep_hz: int = 12
    lidar_sweep_hz: int = 20
    extent: float = 30.0
    ego_speed: float = 3.0
    objects: dict = field(default_factory=lambda: dict(DEFAULT_OBJECTS))
    lidar_beams: int = 32
    lidar_azimuth_steps: int = 1084
    lidar_max_range: float = 70.0
    lidar_range_noise: float = 0.015
    lidar_dropout: float = 0.05
    image_noise: float = 4.0
    jpeg_quality: int = 92
    instance_masks: bool = False
    cameras: tuple = CAMERAS
    ego_turn: tuple = (0.0, 0.0)
    can_bus: float = 0.0
    lead_in: float = 0.0

    def __post_init__(self):
        if self.version not in MAX_SCENES:
            raise ValueError(f'version {self.version!r}: choose one of {sorted(MAX_SCENES)}')
        unknown = sorted(set(self.objects) - set(CLASS_NAMES))
        if unknown:
            raise ValueError(f'objects: unknown classes {unknown}; the classes are {list(CLASS_NAMES)}')
        if any(count < 0 for count in self.objects.values()) or not any(self.objects.values()):
            raise ValueError(f'objects: counts must be >= 0 and not all 0, got {self.objects}')
        # A canonical order keeps the manifest, and so the skip of a finished run, independent of how it was typed.
        object.__setattr__(self, 'objects', {name: int(self.objects.get(name, 0)) for name in CLASS_NAMES})
        object.__setattr__(self, 'cameras', tuple(self.cameras))
        self._check_scenes()
        self._check_ranges()
        self._check_cameras()
        self._check_turn()

    def _check_turn(self):
        object.__setattr__(self, 'ego_turn', tuple(map(float, self.ego_turn)))
        if len(self.ego_turn) != 2 or not 0 <= self.ego_turn[0] <= self.ego_turn[1] <= _FASTEST_TURN:
            raise ValueError(
                f'ego_turn={list(self.ego_turn)}: give the lowest and the highest rate in degrees/s, between 0 and '
                f'{_FASTEST_TURN:g}'
            )

    def _check_cameras(self):
        unknown = [name for name in self.cameras if name not in ALL_CAMERAS]
        if unknown or not 0 < len(self.cameras) == len(set(self.cameras)):
            raise ValueError(f'cameras={list(self.cameras)}: name at least one of {list(ALL_CAMERAS)}, each once')

    def _check_scenes(self):
        max_train, max_val = MAX_SCENES[self.version]
        if self.scenes < 2:
            raise ValueError(f'scenes={self.scenes}: at least 2 are needed, one to train on and one to evaluate on')
        if self.val_scenes is None:
            share = max_val / (max_train + max_val)
            object.__setattr__(self, 'val_scenes', max(1, round(self.scenes * share)))
        train = self.scenes - self.val_scenes
        if not (1 <= self.val_scenes <= max_val and 1 <= train <= max_train):
            raise ValueError(
                f'{train} training and {self.val_scenes} validation scenes: {self.version} has official names for '
                f'1..{max_train} and 1..{max_val}; change scenes / val_scenes, or use v1.0-trainval'
            )

    def _check_ranges(self):
        for name in ('camera_sweep_hz', 'lidar_sweep_hz'):
            value = getattr(self, name)
            if value < KEYFRAME_HZ or value % KEYFRAME_HZ:
                raise ValueError(f'{name}={value}: must be a multiple of the keyframe rate, {KEYFRAME_HZ} Hz')
        lowest = dict(
            keyframes=1, seed=0, image_width=16, image_height=16, extent=5.0, ego_speed=0.0, lidar_beams=2,
            lidar_azimuth_steps=16, lidar_max_range=1.0, lidar_range_noise=0.0, lidar_dropout=0.0, image_noise=0.0,
            jpeg_quality=1, can_bus=0.0, lead_in=0.0,
        )  # fmt: skip
        for name, low in lowest.items():
            if getattr(self, name) < low:
                raise ValueError(f'{name}={getattr(self, name)}: must be at least {low}')
        for name, high in dict(lidar_dropout=1.0, jpeg_quality=100, can_bus=1.0, lead_in=1 / KEYFRAME_HZ).items():
            if getattr(self, name) > high:
                raise ValueError(f'{name}={getattr(self, name)}: must be at most {high}')

    @property
    def channels(self) -> tuple:
        """Names of all sensors, the LiDAR first."""
        return (LIDAR, *self.cameras)

    @property
    def duration(self) -> float:
        """Seconds from the first to the last keyframe."""
        return (self.keyframes - 1) / KEYFRAME_HZ

    def manifest(self) -> dict:
        """JSON-ready record of every setting plus the generator's version, and that of the masks if there are any.

        Settings that came later are only written down where they differ from what was done before, so that older trees
        stay valid.
        """
        settings = dict(asdict(self), cameras=list(self.cameras), ego_turn=list(self.ego_turn))
        for name, before in dict(cameras=list(CAMERAS), ego_turn=[0.0, 0.0], can_bus=0.0, lead_in=0.0).items():
            if settings[name] == before:
                del settings[name]
        masks = dict(masks_version=MASKS_VERSION) if self.instance_masks else {}
        versions = dict(generator_version=GENERATOR_VERSION, **masks)
        return dict(generator='dualdistill-synthetic', settings=settings, **versions)

    @classmethod
    def names(cls):
        return tuple(f.name for f in fields(cls))
