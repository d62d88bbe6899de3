"""The loss: its terms and their weights, its formulas, and the features behind it."""
