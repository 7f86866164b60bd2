"""What a training step gives on one device and on another, and how far apart the two are."""
