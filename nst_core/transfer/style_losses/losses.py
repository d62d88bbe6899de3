"""All style losses but that of Gram matrices, by name."""

from collections.abc import Mapping

from nst_core.transfer.style_losses.histogram import HISTOGRAM
from nst_core.transfer.style_losses.moments import MOMENTS
from nst_core.transfer.style_losses.shifted_gram import SHIFTED_GRAM
from nst_core.transfer.style_losses.sliced import SLICED
from nst_core.transfer.style_losses.style_loss import StyleLoss
from nst_core.transfer.style_losses.wasserstein import WASSERSTEIN

STYLE_LOSSES: Mapping[str, StyleLoss] = {
    "moments": MOMENTS,
    "wasserstein": WASSERSTEIN,
    "shifted-gram": SHIFTED_GRAM,
    "sliced": SLICED,
    "histogram": HISTOGRAM,
}
"""The style losses besides `gram`, whose formula is that of the convention."""
