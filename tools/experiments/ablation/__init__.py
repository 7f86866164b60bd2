"""The parts of tools/ablation.py: which configs, what came of them, and the files about it."""
