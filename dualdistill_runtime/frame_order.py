"""When one frame follows another, for detectors that remember and for those who test them."""

# Keyframes are half a second apart; nothing is remembered across a longer gap.
LONGEST_GAP = 1.0  # s


class FramesOutOfOrder(UserWarning):
    """A detector that remembers frames meets one that does not follow the one before."""


def follows(seconds: float) -> bool:
    """Whether a frame that comes so many seconds after another one of its scene is the next one."""
    return 0 < seconds <= LONGEST_GAP
