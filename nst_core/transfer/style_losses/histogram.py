"""The distribution of each channel (Risser, Wilmot & Barnes 2017, "Stable and controllable neural
texture synthesis and style transfer using histogram losses").

Risser et al. give a picture the style's histograms, and compare it with the result. That is a
comparison of sorted values.
"""

from nst_core.quiet_tensorflow import tf
from nst_core.transfer.style_losses.pooling import Samples, measured
from nst_core.transfer.style_losses.quantiles import quantile_loss, quantiles, quantiles_of_all
from nst_core.transfer.style_losses.style_loss import Targets, layer_by_layer


def channel_quantiles(features: tf.Tensor) -> tf.Tensor:
    """Return the quantiles of each channel, float32 (channels, 256).

    Args:
        features: float32 (height, width, channels).
    """
    return quantiles(tf.transpose(tf.reshape(features, [-1, features.shape[-1]])))


def _pooled(samples: Samples) -> Targets:
    found = measured(samples, lambda _, features: channel_quantiles(features))
    return {layer: {"quantiles": quantiles_of_all(each)} for layer, each in found.items()}


# Means of quantiles are those of the Wasserstein barycenter (Rabin et al. 2011, "Wasserstein
# barycenter and its application to texture mixing").
HISTOGRAM = layer_by_layer(
    lambda features: {"quantiles": channel_quantiles(features)},
    lambda features, _: channel_quantiles(features),
    lambda found, target: quantile_loss(found, target["quantiles"]),
    _pooled,
)
