"""The optimizers, for any objective of a point within bounds."""
