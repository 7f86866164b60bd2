"""What checkpoint files hold: under which names, which of two sets of weights, and for which detector."""
