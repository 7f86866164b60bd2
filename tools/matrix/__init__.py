"""The parts of tools/test_matrix.py, standard library alone: pairs of Python and torch, and what came of them."""
