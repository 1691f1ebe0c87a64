"""The next session of a run as a notebook for a platform that lends GPUs."""
