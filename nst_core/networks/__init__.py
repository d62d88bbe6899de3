"""The available encoders, and how to load them."""

from nst_core.networks import alexnet, compact, vgg
from nst_core.networks.catalogue import by_name

CATALOGUE = by_name(compact.NETWORK, *vgg.NETWORKS, alexnet.NETWORK)
"""Every network, by the name that settings use."""
