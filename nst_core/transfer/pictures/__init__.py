"""The pictures around the optimization: what it starts from, and what is done to its result."""
