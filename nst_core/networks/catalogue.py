"""The networks there are: topology, layers to use if none are named, and where weights are from."""

from collections.abc import Mapping
from dataclasses import dataclass

from nst_core.networks.topology import Topology


@dataclass(frozen=True)
class PublishedFile:
    """A file that its authors offer for download.

    Attributes:
        url: where.
        md5: the checksum that they publish, in hexadecimal.
        size: in bytes.
    """

    url: str
    md5: str
    size: int

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Network:
    """An entry of the catalogue.

    Attributes:
        content_layers, style_layers: used where settings name none.
        file_names: what files with its weights are called, the preferred first.
        published: to download where none of them is there.
        advice: how to get weights, where nothing can be downloaded.
        is_shipped: the weights come with the package.
    """

    topology: Topology
    content_layers: str
    style_layers: str
    file_names: tuple[str, ...] = ()
    published: PublishedFile | None = None
    advice: str = ""
    is_shipped: bool = False

    @property
    def name(self) -> str:
        """Its name in settings and tables."""
        return self.topology.name


def by_name(*networks: Network) -> Mapping[str, Network]:
    """A catalogue: networks by their names."""
    return {network.name: network for network in networks}
