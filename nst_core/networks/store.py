"""The places where weights are searched for and stored."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nst_core.networks.catalogue import Network
from nst_core.networks.recognition import networks_of, the_network_of, why_for_no_network
from nst_core.networks.weight_files import WeightsError, read_weight_file
from nst_core.storage.files import local_cache, user_cache
from nst_core.storage.held_files import sweep_parts
from nst_core.storage.places import Place

VARIABLE = "NST_BATCH_WEIGHTS"


@dataclass(frozen=True)
class WeightStore:
    """The places where weights are searched for.

    Attributes:
        folder: where weights that were downloaded, converted or normalized are stored, always on
            this machine.
        chosen: a file or folder that the user chose; it is searched first.
        is_asked_for: whether `chosen` was given for this run only; the run must then use it.
    """

    folder: Path
    chosen: Path | None = None
    is_asked_for: bool = False

    @classmethod
    def of_user(cls, chosen: Path | None = None, cache: Place | None = None) -> "WeightStore":
        """Return the user's store; the defaults are `NST_BATCH_WEIGHTS` and the user's cache."""
        folder = local_cache(cache or user_cache()) / "weights"
        if chosen:
            return cls(folder, chosen, is_asked_for=True)
        named = os.environ.get(VARIABLE)
        return cls(folder, Path(named) if named else None)

    def sweep(self) -> None:
        """Remove the part files that killed downloads and conversions left."""
        sweep_parts([self.folder])

    def find(self, network: Network) -> Path | None:
        """Return the file with a network's weights; None if there is none.

        In a folder, a file is recognized by its name; a file that the user chose, by its layers.

        Raises:
            WeightsError: what the user chose does not exist, cannot be read, or fits no network.
        """
        found = self._find_in_chosen(network)
        return found or _named_for(network, self.folder)

    def _find_in_chosen(self, network: Network) -> Path | None:
        if self.chosen is None:
            return None
        if not self.chosen.exists():
            raise WeightsError(
                f"{self.chosen}: no such file or folder; expected weights (--weights, {VARIABLE})"
            )
        if self.chosen.is_dir():
            return _named_for(network, self.chosen)
        file = read_weight_file(self.chosen)
        names = networks_of(file)
        if not names:
            # Searching other places would hide the problem with the user's own file.
            raise WeightsError(why_for_no_network(file))
        return self.chosen if network.name in names else None

    def check_use(self, networks: Iterable[Network]) -> None:
        """Refuse weights that were chosen for this run only, if the run cannot use them.

        Raises:
            WeightsError: none of these networks has its weights in `chosen`; or as for `find`.
        """
        if not self.is_asked_for or self.chosen is None:
            return
        needed = [network for network in networks if not network.is_shipped]
        if self.chosen.exists() and any(map(self._find_in_chosen, needed)):
            return
        if not self.chosen.exists():
            found = "no such file or folder"
        elif self.chosen.is_dir():
            found = "none of its files has one of the expected names"
        else:
            found = f"it contains weights of {the_network_of(read_weight_file(self.chosen))}"
        names = ", ".join(network.name for network in needed)
        advice = f"expected weights of {names}" if names else "no row needs weights; omit --weights"
        raise WeightsError(f"{self.chosen} (--weights): {found}; {advice}")

    def is_download(self, network: Network, path: Path) -> bool:
        """Return whether the file was downloaded, so that its checksum is known."""
        return network.published is not None and path == self.folder / network.published.name

    def missing(self, network: Network, why: str = "") -> WeightsError:
        """Return the error to raise if no file was found.

        Args:
            network: the network whose weights were searched for.
            why: why the weights could not be downloaded either.
        """
        places = " or ".join(str(place) for place in (self.chosen, self.folder) if place)
        published = network.published
        file = f"{published.name} (MD5 {published.md5})" if published else network.file_names[-1]
        advice = why or network.advice
        if published and not why:
            advice = f"download it: nst-batch weights fetch {network.name}"
        return WeightsError(
            f"no weights of {network.name}: found neither {file} nor a file with another of "
            f"its names in {places}; {advice}; or use --encoder compact, which needs no weight file"
        )


def _named_for(network: Network, folder: Path) -> Path | None:
    named = (folder / name for name in network.file_names)
    return next((path for path in named if path.is_file()), None)
