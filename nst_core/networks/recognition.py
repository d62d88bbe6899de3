"""Recognize which network a weight file is for, by its layers and its notes."""

from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import Network
from nst_core.networks.weight_files import WeightFile, WeightsError, networks_in, weights_for

CANDIDATES = tuple(network for network in CATALOGUE.values() if not network.is_shipped)


def networks_of(file: WeightFile) -> tuple[str, ...]:
    """Return the networks that a file's weights are for; empty if no network has these layers.

    Shapes do not distinguish normalized weights from plain ones. Files that `nst-batch weights`
    wrote name their network in their notes. Any other file counts as plain, unless its own name
    begins with the name of a normalized network.
    """
    fitting = networks_in(file, [network.topology for network in CANDIDATES])
    noted = noted_network(file)
    if noted:
        return tuple(name for name in fitting if name == noted)
    normalized = tuple(name for name in fitting if name.endswith("-normalized"))
    named = tuple(name for name in normalized if file.path.name.startswith(name))
    return named or tuple(name for name in fitting if name not in normalized)


def noted_network(file: WeightFile) -> str:
    """Return the network that the file's notes name; empty if they name no known network."""
    name = file.notes.get("network", "")
    return name if name in CATALOGUE else ""


def the_network_of(file: WeightFile) -> str:
    """Return the one network that a file's weights are for.

    Raises:
        WeightsError: they fit no network; the message says why not even the most similar one.
    """
    names = networks_of(file)
    if not names:
        raise WeightsError(why_for_no_network(file))
    return names[0]


def why_for_no_network(file: WeightFile) -> str:
    """Return why a file does not fit the network with which it shares most layers."""
    nearest = max(CANDIDATES, key=lambda network: _share_of_layers(network, file))
    try:
        weights_for(nearest.topology, file)
    except WeightsError as error:
        return str(error)
    known = ", ".join(network.name for network in CANDIDATES)
    return (
        f"{file.path}: its layers are those of {nearest.name}, but its notes say that it is for "
        f"{noted_network(file)}; expected one of {known}"
    )


def _share_of_layers(network: Network, file: WeightFile) -> float:
    wanted = network.topology.weight_shapes.keys()
    return len(wanted & file.arrays.keys()) / len(wanted | file.arrays.keys())
