"""Masks: the regions of a picture in which styles apply, and the statistics of these regions."""
