"""Write what the peer needs: pictures, weights, and a description of the networks.

    python -m benchmarks.bench.write_inputs FOLDER

It is the part of `benchmarks/gpu/export.py` that exports no programs.
"""

import argparse
import json
from pathlib import Path

from export import PAIRS, described, write_inputs


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    write_inputs(folder)
    networks = {network: described(network) for network in ("compact", "vgg19")}
    listed = {"networks": networks, "pairs": PAIRS, "programs": []}
    (folder / "programs.json").write_text(json.dumps(listed))
    print(json.dumps({"folder": folder.name}))


if __name__ == "__main__":
    main()
