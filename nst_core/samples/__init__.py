"""Sample pictures: photographs that come with scikit-image, and styles painted by our code."""
