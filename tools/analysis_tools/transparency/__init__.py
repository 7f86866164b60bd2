"""The parts of aligner_transparency.py: stored maps, and aligners trained on them alone."""
