"""Networks without their weights: taps, shapes, sides, and the catalog."""

import pytest
import tensorflow as tf

from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import Network
from nst_core.networks.forward import activations
from nst_core.networks.topology import Convolution, Pool, Preprocessing, Relu, Topology
from nst_core.transfer.setting_types import parse_layer_weights
from nst_core.transfer.settings import EncoderName
from tests.encoders import TINY, random_encoder

NETWORKS = pytest.mark.parametrize("network", CATALOGUE.values(), ids=CATALOGUE)


def test_channels_are_those_of_the_last_convolution() -> None:
    assert [TINY.channels(name) for name in TINY.layer_names] == [4, 4, 4, 6, 6]
    assert Topology("x", (Relu("relu0"),)).channels("relu0") == 3


def test_shapes_of_weights_with_groups() -> None:
    topology = Topology("x", (Convolution("a", 8, kernel=5), Convolution("b", 6, groups=2)))
    assert topology.weight_shapes == {
        "a.weight": (5, 5, 3, 8),
        "a.bias": (8,),
        "b.weight": (3, 3, 4, 6),
        "b.bias": (6,),
    }


def test_an_unknown_layer_is_reported_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"'vgg19' has no layer 'relu4-2'; did you mean 'relu4_2'"):
        CATALOGUE["vgg19"].topology.check_taps(["relu4-2"])


@NETWORKS
def test_the_smallest_side_leaves_two_positions_and_one_less_does_not(network: Network) -> None:
    encoder = random_encoder(network.topology)
    taps = default_taps(network)
    side = network.topology.smallest_side(taps)
    seen = activations(encoder, tf.zeros([side, side + 3, 3]), taps)
    assert all(min(features.shape[:2]) >= 2 for features in seen.values())
    assert min(min(features.shape[:2]) for features in seen.values()) == 2
    try:
        smaller = activations(encoder, tf.zeros([side - 1, side - 1, 3]), taps)
    except tf.errors.InvalidArgumentError:
        return  # nothing to mirror, or less than one square to pool
    assert min(min(features.shape[:2]) for features in smaller.values()) < 2


@NETWORKS
def test_the_layers_used_if_none_are_named_exist(network: Network) -> None:
    network.topology.check_taps(default_taps(network))


def default_taps(network: Network) -> list[str]:
    return [
        *parse_layer_weights(network.content_layers),
        *parse_layer_weights(network.style_layers),
    ]


@NETWORKS
def test_each_network_describes_how_to_get_its_weights(network: Network) -> None:
    assert network.is_shipped or network.published or network.advice
    assert network.is_shipped or network.file_names
    if network.published:
        assert network.published.name in network.file_names


def test_settings_know_every_network() -> None:
    assert set(EncoderName.__args__) == set(CATALOGUE)


def test_each_file_name_belongs_to_one_network() -> None:
    names = [name for network in CATALOGUE.values() for name in network.file_names]
    assert len(names) == len(set(names))


def test_the_vgg_networks_have_their_published_depths() -> None:
    for name, count, last in (("vgg16", 13, "conv5_3"), ("vgg19", 16, "conv5_4")):
        convolutions = CATALOGUE[name].topology.convolutions
        assert len(convolutions) == count
        assert convolutions[-1].name == last


def test_pooling_can_be_chosen() -> None:
    topology = CATALOGUE["vgg16"].topology

    def kinds(of: Topology) -> set[str]:
        return {layer.kind for layer in of.layers if isinstance(layer, Pool)}

    assert kinds(topology) == kinds(topology.with_pooling("trained")) == {"max"}
    assert kinds(topology.with_pooling("average")) == {"average"}
    assert topology.with_pooling("average").weight_shapes == topology.weight_shapes


def test_the_neutral_color_becomes_zero() -> None:
    red, green, blue = CATALOGUE["vgg19"].topology.preprocessing.neutral_color
    assert (red * 255, green * 255, blue * 255) == pytest.approx((123.68, 116.779, 103.939))
    assert Preprocessing().neutral_color == (0.5, 0.5, 0.5)


def test_work_per_pixel_is_counted() -> None:
    topology = Topology(
        "x",
        (
            Convolution("a", 4, stride=2),  # 9 x 3 x 4 products, one position for four pixels
            Relu("r"),
            Pool("p", "max"),
            Convolution("b", 6, groups=2),  # 9 x 2 x 6 products, one position for sixteen pixels
        ),
    )
    assert topology.work_per_pixel(["b"]) == 108 / 4 + 108 / 16
    assert topology.work_per_pixel(["p"]) == 108 / 4
