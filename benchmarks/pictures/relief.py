"""A landscape that needs no download: hills as they are on the ground, drawn in perspective.

The elevations come with matplotlib: 344 x 403 points at a distance of 3 arc seconds, in the
Appalachian Mountains near Jacksboro, Tennessee. The light, the colors and the haze are ours.
"""

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Reals = NDArray[np.float64]

SAMPLES = Path(matplotlib.get_data_path()) / "sample_data"
"""The samples that come with matplotlib."""

HEIGHT, WIDTH, DRAWN = 256, 640, 2
"""The size of the picture, in pixels, and how many times larger it is drawn to soften edges."""

EYE = np.array([338.0, 260.0])
"""Where the observer stands: row and column among the elevations; looking north."""

ABOVE = 1050.0
"""How far the observer is above the lowest point, in meters."""

SPACING = 83.0
"""The mean distance of two elevations, in meters."""

EXAGGERATION = 1.9
"""How much higher the hills are drawn than they are, as painters do."""

HORIZON = 0.36
"""The height of the horizon, as a share of the picture's, from the top."""

VIEW = 1.0
"""The angle of view, in radians."""

FOREST, MEADOW, ROCK = np.array([[0.13, 0.24, 0.11], [0.55, 0.52, 0.22], [0.50, 0.42, 0.34]])
HAZE, ZENITH, CLOUD = np.array([[0.78, 0.83, 0.88], [0.26, 0.47, 0.78], [0.98, 0.97, 0.95]])


def landscape() -> NDArray[np.uint8]:
    """Return the landscape: sRGB, uint8, (256, 640, 3)."""
    with np.load(SAMPLES / "jacksboro_fault_dem.npz") as data:
        elevations = data["elevation"].astype(np.float64)
    places, rows, distances = _along_sight(gaussian_filter(elevations, 0.6))
    nearest = _first_seen(rows)
    seen = np.minimum(nearest, len(distances) - 1)
    at = places[:, seen, np.arange(WIDTH * DRAWN)]
    ground = np.stack(
        [
            map_coordinates(plane, at, order=1, mode="mirror")
            for plane in np.moveaxis(_ground(elevations), -1, 0)
        ],
        axis=-1,
    )
    clear = np.exp(-distances[seen] / 170)[..., None]
    drawn = HAZE + (ground - HAZE) * clear
    drawn = np.where((nearest < len(distances))[..., None], drawn, _sky()).clip(0, 1)
    picture = drawn.reshape(HEIGHT, DRAWN, WIDTH, DRAWN, 3).mean(axis=(1, 3))
    return np.asarray(np.rint(255 * picture), np.uint8)


def _along_sight(elevations: Reals) -> tuple[Reals, Reals, Reals]:
    """Return what lies along each line of sight, at several distances.

    Returns:
        Places among the elevations, (2, distances, columns); where each is in the picture if
        nothing hides it, (distances, columns), in drawn pixels from the top; the distances.
    """
    distances = np.geomspace(9, 330, 900)
    angles = np.linspace(-VIEW / 2, VIEW / 2, WIDTH * DRAWN)
    heading = np.stack([-np.cos(angles), np.sin(angles)])
    places = EYE[:, None, None] + distances[:, None] * heading[:, None]
    heights = map_coordinates(elevations, places, order=1, mode="mirror") - elevations.min()
    forward = distances[:, None] * np.cos(angles) * SPACING
    rows = EXAGGERATION * (ABOVE - heights) / forward * WIDTH / VIEW + HEIGHT * HORIZON
    return places, rows * DRAWN, distances


def _first_seen(rows: Reals) -> NDArray[np.int64]:
    """Return which distance each drawn pixel shows; the number of distances where it is the sky."""
    highest = np.minimum.accumulate(rows, axis=0)
    pixels = np.arange(HEIGHT * DRAWN) + 0.5
    return np.stack([np.searchsorted(-column, -pixels) for column in highest.T], axis=-1)


def _ground(elevations: Reals) -> Reals:
    """Return the color of each point, (rows, columns, 3): fields, woods and rocks, in the light."""
    south, east = np.gradient(elevations * EXAGGERATION, SPACING)
    normal = np.stack([-east, south, np.ones_like(east)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = (normal @ np.array([-0.72, -0.1, 0.60])).clip(0, 1)[..., None]
    patches = np.random.default_rng(3).normal(size=elevations.shape)
    patches = 3 * gaussian_filter(patches, 1.2) + 0.25 * patches
    wooded = (2.2 * np.hypot(south, east) - 0.2 + 0.5 * patches).clip(0, 1)[..., None]
    high = ((elevations - 500) / 600).clip(0, 0.6)[..., None]
    colors = MEADOW + (FOREST - MEADOW) * wooded
    return np.asarray((colors + (ROCK - colors) * high) * (0.25 + 1.35 * light))


def _sky() -> Reals:
    """Return the sky at the drawn size, with long clouds."""
    rng = np.random.default_rng(4)
    shape = (HEIGHT * DRAWN, WIDTH * DRAWN)
    sizes = ((12, 60, 1.0), (5, 20, 0.5), (2, 6, 0.25))
    layers = [
        share * 6 * np.sqrt(tall * wide) * gaussian_filter(rng.normal(size=shape), (tall, wide))
        for tall, wide, share in sizes
    ]
    cover = _smoothed(np.sum(layers, axis=0) / 2.4)
    up = 1 - (np.arange(shape[0]) / (shape[0] * HORIZON)).clip(0, 1)
    blue = HAZE + (ZENITH - HAZE) * np.sqrt(up)[:, None, None]
    return np.asarray(blue + (CLOUD - blue) * cover[..., None])


def _smoothed(value: Reals) -> Reals:
    """Return 0 below 0, 1 above 1, and a smooth ramp between."""
    clipped = value.clip(0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped))
