"""The parts of demo.py: which models, which keyframes, what the models see there."""
