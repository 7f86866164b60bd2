"""Models trained and compared on generated data: what tools/quickstart.py and tools/ablation.py have in common."""
