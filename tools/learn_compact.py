"""Learn the compact encoder from photographs alone: no labels, no gradients, no download.

Each layer is a dictionary of 3x3 patches of the layer below, found by spherical k-means on
ZCA-whitened patches (A. Coates and A. Y. Ng, "Learning feature representations with k-means",
2012). Every unit is then scaled to a mean activation of one, as L. A. Gatys, A. S. Ecker and M.
Bethge scaled VGG-19 ("Image style transfer using convolutional neural networks", 2016), so that no
layer or unit dominates a Gram matrix merely by being large.

    python tools/learn_compact.py --output compact.safetensors
    python tools/learn_compact.py --photographs my_photographs --output mine.safetensors

The same photographs, options, machine and library versions give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from safetensors.numpy import save

Array = npt.NDArray[np.float32]

# These are the photographs in the scikit-image wheel whose documentation says that they are free to
# use. Its motorcycles and its moon are left out, because their documentation does not say so. The
# gray photographs add the textures of brick, grass and gravel, which the others lack. See
# compact.data-card.md for authors and terms.
SAMPLE_PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "rocket.jpg",
)
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Layer:
    """One 3x3 convolution with its ReLU; if `pooled`, 2x2 average pooling comes before it."""

    name: str
    channels: int
    pooled: bool = False


TOPOLOGY = (
    Layer("conv1_1", 32),
    Layer("conv1_2", 64),
    Layer("conv2_1", 96, pooled=True),
    Layer("conv2_2", 128),
    Layer("conv3_1", 192, pooled=True),
    Layer("conv3_2", 256),
    Layer("conv4_1", 384, pooled=True),
)


@dataclass(frozen=True)
class Recipe:
    """The parameters of learning. The defaults made the weights that come with the program.

    Attributes:
        seed: the seed of all random numbers.
        crops: the number of squares drawn from the photographs.
        crop_side: the side of these squares in pixels.
        patches: the number of patches drawn for each layer, before the flattest are dropped.
        rounds: the number of rounds of k-means for each layer.
        flattest: the share of patches that are dropped because they have too little contrast.
        active: the share of the remaining patches on which each unit is active.
        recolored: the share of squares whose hue is changed.
        first_floor: the variance added when pixels are whitened, as a share of the largest one.
        floor: the variance added when activations are whitened, as a share of the mean one.
    """

    seed: int = 0
    crops: int = 160
    crop_side: int = 128
    patches: int = 40_000
    rounds: int = 10
    flattest: float = 0.3
    active: float = 0.6
    recolored: float = 0.5
    first_floor: float = 0.01
    floor: float = 0.3


def photographs_of_scikit_image() -> list[Path]:
    """Return the paths of the sample photographs in the installed scikit-image."""
    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in SAMPLE_PHOTOGRAPHS]


def photographs_in(folder: Path) -> list[Path]:
    """Return all pictures directly in `folder`, in an order independent of the file system."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise SystemExit(f"{folder}: found no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return found


def draw_crops(paths: Sequence[Path], recipe: Recipe, rng: np.random.Generator) -> Array:
    """Draw random squares from the photographs: (crops, side, side, 3), sRGB in [0, 1].

    Each is rotated by a random angle, because photographs are full of horizontal and vertical
    edges, and a dictionary that has seen little else makes every stroke horizontal or vertical. The
    hue of a share of the squares is changed, because a few photographs contain only a few hues.
    """
    pictures = [Image.open(path).convert("RGB") for path in paths]
    crops = np.empty((recipe.crops, recipe.crop_side, recipe.crop_side, 3), np.float32)
    for index in range(recipe.crops):
        square = turned_square(pictures[index % len(pictures)], recipe.crop_side, rng)
        pixels = np.asarray(square, np.float32) / 255
        if rng.random() < recipe.recolored:
            pixels = np.clip(pixels @ hue_rotation(rng.uniform(0, 2 * math.pi)), 0, 1)
        crops[index] = pixels
    return crops


def turned_square(picture: Image.Image, side: int, rng: np.random.Generator) -> Image.Image:
    """Cut a square from `picture`, `side` pixels wide, of random place, size, angle and mirroring.

    Its size is log-uniform, from a small detail to the entire picture, so that the dictionary is
    learned from both the textures of things and their outlines.
    """
    diagonal = math.ceil(side * math.sqrt(2))
    longest = min(picture.size)
    shortest = min(diagonal // 2, longest)
    drawn = round(math.exp(rng.uniform(math.log(shortest), math.log(longest))))
    left = int(rng.integers(picture.width - drawn + 1))
    top = int(rng.integers(picture.height - drawn + 1))
    box = (left, top, left + drawn, top + drawn)
    resized = picture.resize((diagonal, diagonal), Image.Resampling.LANCZOS, box)
    turned = resized.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        turned = turned.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # Only the square inscribed in the circle is filled by the picture at every angle.
    margin = (diagonal - side) // 2
    return turned.crop((margin, margin, margin + side, margin + side))


def hue_rotation(angle: float) -> Array:
    """Return the matrix (3, 3) that turns RGB row vectors around the gray axis; grays stay gray."""
    cosine, sine = math.cos(angle), math.sin(angle) / math.sqrt(3)
    even = (1 - cosine) / 3
    first, second = even + sine, even - sine
    whole = cosine + even
    return np.array(
        [[whole, first, second], [second, whole, first], [first, second, whole]], np.float32
    )


def neighborhoods(maps: Array) -> Array:
    """Return all 3x3 neighborhoods of `maps` (n, h, w, c), as (n, h-2, w-2, 3, 3, c)."""
    return sliding_window_view(maps, (3, 3), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)


def draw_patches(maps: Array, recipe: Recipe, rng: np.random.Generator) -> Array:
    """Draw random 3x3 patches of `maps` (n, h, w, c), as rows (m, 9c), without nearly flat ones.

    Each patch is entirely inside its crop, because padding is not something to learn from.
    """
    views = neighborhoods(maps)
    where = tuple(rng.integers(size, size=recipe.patches) for size in views.shape[:3])
    patches = views[where].reshape(recipe.patches, -1)
    contrast = patches.std(axis=1)
    textured: Array = patches[contrast >= np.quantile(contrast, recipe.flattest)]
    return textured


def zca(centered: Array, floor: float, relative_to_largest: bool) -> Array:
    """Return the symmetric whitening matrix (d, d) of mean-free rows (m, d).

    `floor` is added to the variances, so that directions that contain little but noise are not
    amplified. It is a fraction of the largest variance or of the mean one.
    """
    rows = centered.astype(np.float64)
    variances, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    variances = np.maximum(variances, 0)
    reference = variances[-1] if relative_to_largest else variances.mean()
    gains = 1 / np.sqrt(variances + floor * reference)
    whitening: Array = ((directions * gains) @ directions.T).astype(np.float32)
    return whitening


def unit_rows(rows: Array) -> Array:
    """Scale each of the `rows` (m, d) to unit length; a zero row stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Array = rows / np.maximum(lengths, np.float32(1e-8))
    return scaled


def spherical_kmeans(points: Array, count: int, rounds: int, rng: np.random.Generator) -> Array:
    """Return `count` unit centroids (count, d) of unit `points` (m, d), nearest by angle.

    Each new centroid includes the old one in its sum (the damping of Coates and Ng), so a centroid
    that wins no point stays as it is.
    """
    centroids = points[rng.choice(len(points), count, replace=False)]
    for _ in range(rounds):
        nearest = np.argmax(points @ centroids.T, axis=1)
        order = np.argsort(nearest, kind="stable")
        winners, starts = np.unique(nearest[order], return_index=True)
        sums = centroids.copy()
        sums[winners] += np.add.reduceat(points[order], starts, axis=0)
        centroids = unit_rows(sums)
    return centroids


def learn_layer(
    maps: Array, layer: Layer, recipe: Recipe, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Learn kernel (3, 3, in, out) and bias (out,) of a layer from its input `maps` (n, h, w, in).

    Both are rounded to half precision before they are used, because the layers above must learn
    from what this layer will really output.
    """
    patches = draw_patches(maps, recipe, rng)
    mean = patches.mean(axis=0)
    first = maps.shape[-1] == 3
    whitening = zca(
        patches - mean, recipe.first_floor if first else recipe.floor, relative_to_largest=first
    )
    points = unit_rows((patches - mean) @ whitening)
    filters = whitening @ spherical_kmeans(points, layer.channels, recipe.rounds, rng).T

    responses = patches @ filters
    threshold = np.quantile(responses, 1 - recipe.active, axis=0).astype(np.float32)
    gains = 1 / np.maximum(responses - threshold, 0).mean(axis=0)
    kernel = (filters * gains).reshape(3, 3, maps.shape[-1], layer.channels)
    return half(kernel), half(-threshold * gains)


def half(values: Array) -> Array:
    """Round `values` to what half precision can represent."""
    return values.astype(np.float16).astype(np.float32)


def pool(maps: Array) -> Array:
    """Return 2x2 means of `maps` (n, h, w, c); an odd last row or column is dropped."""
    height, width = maps.shape[1] // 2 * 2, maps.shape[2] // 2 * 2
    even = maps[:, :height, :width]
    above = even[:, ::2, ::2] + even[:, ::2, 1::2]
    below = even[:, 1::2, ::2] + even[:, 1::2, 1::2]
    return np.asarray((above + below) / 4, np.float32)


def convolve(maps: Array, kernel: Array, bias: Array) -> Array:
    """Return ReLU of a 3x3 convolution of `maps` (n, h, w, in), edges mirrored: (n, h, w, out).

    This computes one crop at a time with BLAS, because BLAS adds in a fixed order, and TensorFlow
    does not promise to.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    output = np.empty((*maps.shape[:3], kernel.shape[-1]), np.float32)
    for index in range(len(maps)):
        padded = np.pad(maps[index : index + 1], ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        rows = neighborhoods(padded).reshape(-1, len(matrix))
        output[index] = np.maximum(rows @ matrix + bias, 0).reshape(output.shape[1:])
    return output


def learn(
    crops: Array, topology: Sequence[Layer], recipe: Recipe
) -> Iterator[tuple[Layer, Array, Array]]:
    """Yield each layer, its kernel and bias, learned from what earlier layers make of `crops`."""
    rng = np.random.default_rng([recipe.seed, 1])
    maps = crops
    for layer in topology:
        maps = pool(maps) if layer.pooled else maps
        kernel, bias = learn_layer(maps, layer, recipe, rng)
        yield layer, kernel, bias
        maps = convolve(maps, kernel, bias)


def procedure(paths: Sequence[Path], recipe: Recipe) -> str:
    """Return the file's only metadata entry; safetensors gives several entries no fixed order."""
    settings = ", ".join(f"{name} {value}" for name, value in asdict(recipe).items())
    names = ", ".join(path.name for path in paths)
    return f"ZCA-whitened spherical k-means, layer by layer; {settings}; photographs: {names}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    default = Recipe()
    parser = argparse.ArgumentParser(
        description="Learn the compact encoder from photographs, without labels."
    )
    parser.add_argument(
        "--photographs", type=Path, metavar="FOLDER", help="default: the samples of scikit-image"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the safetensors file to write"
    )
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument(
        "--crops", type=int, default=default.crops, help="squares drawn from the photographs"
    )
    parser.add_argument(
        "--patches", type=int, default=default.patches, help="3x3 patches drawn for each layer"
    )
    parser.add_argument(
        "--rounds", type=int, default=default.rounds, help="rounds of k-means for each layer"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, print the progress, write the weights, and print their SHA-256."""
    options = parse(arguments)
    paths = (
        photographs_in(options.photographs)
        if options.photographs
        else photographs_of_scikit_image()
    )
    recipe = Recipe(
        seed=options.seed, crops=options.crops, patches=options.patches, rounds=options.rounds
    )
    crops = draw_crops(paths, recipe, np.random.default_rng([recipe.seed, 0]))
    tensors: dict[str, npt.NDArray[np.float16]] = {}
    started = time.perf_counter()
    for layer, kernel, bias in learn(crops, TOPOLOGY, recipe):
        tensors[f"{layer.name}.weight"] = kernel.astype(np.float16)
        tensors[f"{layer.name}.bias"] = bias.astype(np.float16)
        print(
            f"{layer.name}: {layer.channels} units, {time.perf_counter() - started:.0f} s",
            flush=True,
        )
    data = save(tensors, {"procedure": procedure(paths, recipe)})
    options.output.write_bytes(data)
    print(f"{options.output}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
