"""Live models. PyTorch and the libraries on it are imported inside functions."""
