"""The motion between two pictures: optical flow, its files, its reliability, and warping by it."""
