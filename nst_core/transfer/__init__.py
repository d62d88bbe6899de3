"""Style transfer itself: settings, statistics, losses, optimizers, and the result's identity."""
