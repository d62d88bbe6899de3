"""Styles: their pictures, the targets that stand for them, and where and how much each applies."""
