"""Where weights are looked for and kept."""

import os
from dataclasses import dataclass
from pathlib import Path

from nst_core.files import user_cache
from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import Network
from nst_core.networks.weight_files import (
    WeightFile,
    WeightsError,
    networks_in,
    read_weight_file,
    weights_for,
)

VARIABLE = "NST_BATCH_WEIGHTS"


@dataclass(frozen=True)
class WeightStore:
    """Where weights are looked for.

    Attributes:
        kept: the folder of weights that were downloaded, converted or normalized.
        chosen: a file or folder of the user's own, looked at first.
    """

    kept: Path
    chosen: Path | None = None

    @classmethod
    def of_user(cls, chosen: Path | None = None, cache: Path | None = None) -> "WeightStore":
        """With `NST_BATCH_WEIGHTS` where nothing is chosen, and the user's cache where none is."""
        named = os.environ.get(VARIABLE)
        chosen = chosen or (Path(named) if named else None)
        return cls((cache or user_cache()) / "weights", chosen)

    def find(self, network: Network) -> Path | None:
        """The file with a network's weights, as far as its name tells; None: there is none.

        Raises:
            WeightsError: what the user chose is not there, cannot be read, or is for no network.
        """
        if self.chosen is not None:
            if not self.chosen.exists():
                raise WeightsError(
                    f"{self.chosen}: no such file or folder; expected weights (--weights, "
                    f"{VARIABLE})"
                )
            if self.chosen.is_file() and _serves(self.chosen, network):
                return self.chosen
        folders = [place for place in (self.chosen, self.kept) if place and place.is_dir()]
        named = (folder / name for folder in folders for name in network.file_names)
        return next((path for path in named if path.is_file()), None)

    def is_download(self, network: Network, path: Path) -> bool:
        """Whether the file is one that was downloaded, so that its checksum is known."""
        return network.published is not None and path == self.kept / network.published.name

    def missing(self, network: Network, why: str = "") -> WeightsError:
        """What to tell where there is no file.

        Args:
            network: whose weights are looked for.
            why: it could not be downloaded either.
        """
        places = " or ".join(str(place) for place in (self.chosen, self.kept) if place)
        published = network.published
        file = f"{published.name} (MD5 {published.md5})" if published else network.file_names[-1]
        advice = why or network.advice
        if published and not why:
            advice = f"download it: nst-batch weights fetch {network.name}"
        return WeightsError(
            f"no weights of {network.name}: found no {file} or other file of its names in "
            f"{places}; {advice}; or use --encoder compact, which needs none"
        )


def _serves(path: Path, network: Network) -> bool:
    """Whether a file that the user names holds a network's weights, or another network's.

    Raises:
        WeightsError: it cannot be read, or holds no network's.
    """
    file = read_weight_file(path)
    names = networks_of(file)
    if not names:
        # Going on to other places would hide that the user's own file is at fault.
        weights_for(network.topology, file)
    return network.name in names


def networks_of(file: WeightFile) -> tuple[str, ...]:
    """The networks that a file's weights are for.

    Shapes do not tell normalized weights from plain ones: what `nst-batch weights` wrote says so
    itself, and other files are plain unless named after the normalized network.
    """
    topologies = [network.topology for network in CATALOGUE.values() if not network.is_shipped]
    fitting = networks_in(file, topologies)
    said = file.notes.get("network")
    if said:
        return tuple(name for name in fitting if name == said)
    normalized = tuple(name for name in fitting if name.endswith("-normalized"))
    named = tuple(name for name in normalized if file.path.name.startswith(name))
    return named or tuple(name for name in fitting if name not in normalized)
