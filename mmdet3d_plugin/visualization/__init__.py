"""Pictures of predictions and training curves: numpy arrays in, RGB images out."""
