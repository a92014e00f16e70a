"""The speed of the press against its peers, side by side in one run."""
