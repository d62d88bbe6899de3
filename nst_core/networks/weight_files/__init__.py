"""Weight files in the common formats: Keras', NumPy's, and our own safetensors."""

from nst_core.networks.weight_files.fitting import networks_in, weights_for
from nst_core.networks.weight_files.read import read_weight_file
from nst_core.networks.weight_files.safetensors_files import write_weight_file
from nst_core.networks.weight_files.weight_file import WeightFile, WeightsError

__all__ = [
    "WeightFile",
    "WeightsError",
    "networks_in",
    "read_weight_file",
    "weights_for",
    "write_weight_file",
]
