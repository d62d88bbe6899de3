"""The optimization at one octave: its compiled functions, its progress and its checkpoints."""
