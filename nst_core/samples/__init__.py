"""Pictures to try it on: photographs that come with scikit-image, and styles painted here."""
