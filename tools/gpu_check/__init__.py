"""The parts of tools/check_gpu.py: what is checked, how a check runs, and what came of it."""
