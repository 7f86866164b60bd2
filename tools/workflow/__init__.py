"""A resumable sequence of subprocess steps with markers, progress and a report. Used by ``tools/quickstart.py``."""
