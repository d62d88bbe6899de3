"""The catalog of networks: topology, default layers, and sources of the weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from nst_core.networks.topology import Topology


@dataclass(frozen=True)
class PublishedFile:
    """A file that its authors offer for download.

    Attributes:
        url: the URL to download it from.
        md5: the checksum that its authors publish, in hexadecimal.
        size: in bytes.
    """

    url: str
    md5: str
    size: int

    @property
    def name(self) -> str:
        """The file name, which is the last part of the URL."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Network:
    """An entry of the catalog.

    Attributes:
        content_layers, style_layers: the defaults, used if the settings name no layers.
        file_names: the names that files with its weights may have, the preferred one first.
        published: the file to download if none of these files exists.
        advice: how to get weights if nothing can be downloaded.
        is_shipped: whether the weights come with the package.
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
        """The name used in settings and tables."""
        return self.topology.name


def by_name(*networks: Network) -> Mapping[str, Network]:
    """Return a catalog, which maps names to networks."""
    return {network.name: network for network in networks}
