"""Sun, sky, haze and weather: how the light falls on a district, drawn from its seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Daylight:
    """Where the sun stands and how the light falls.

    Attributes:
        azimuth_rad: Of the sun, from north over east.
        elevation_rad: Of the sun over the horizon.
        sun_rgb: Light from the sun itself; it casts the shadows.
        sky_rgb: Light from everywhere else.
        haze_per_m: Share of the light that each metre of air replaces by its own.
        haze_rgb: Colour of that air.
        balance_rgb: The camera's white balance, gains.
        vivid: Saturation, 1 keeps the colours as they are.
        wet: How wet the ground is, 0 to 1; it darkens and holds puddles.
        cloud: Share of the sky under cloud, 0 to 1.
        sky_gain: How bright the sky looks beside the land; over 1.2 it burns out.
        clouds_at: Where in the pattern of clouds the district lies, each in [0, 1).
    """

    azimuth_rad: float
    elevation_rad: float
    sun_rgb: Rgb
    sky_rgb: Rgb
    haze_per_m: float
    haze_rgb: Rgb = (0.62, 0.66, 0.7)
    balance_rgb: Rgb = (1.0, 1.0, 1.0)
    vivid: float = 0.84
    wet: float = 0.0
    cloud: float = 0.3
    sky_gain: float = 1.0
    clouds_at: tuple[float, float] = (0.0, 0.0)

    def towards_sun(self) -> NDArray[np.float64]:
        """Return the unit vector to the sun, east north up."""
        flat = np.cos(self.elevation_rad)
        return np.array(
            [
                flat * np.sin(self.azimuth_rad),
                flat * np.cos(self.azimuth_rad),
                np.sin(self.elevation_rad),
            ]
        )


# Name -> range of the share of the sky under cloud, and of how bright it looks beside the land: a
# camera exposed for the land shows many skies too bright.
_CLOUDS = {
    "clear": ((0.0, 0.5), (0.65, 1.5)),
    "thin_cloud": ((0.5, 0.9), (0.8, 1.8)),
    "haze": ((0.0, 0.6), (0.85, 1.7)),
    "overcast": ((0.92, 1.0), (1.0, 1.8)),
}
# Name -> weight, range of the sky's share of the light on level ground, range of haze per metre.
_SKIES = {
    "clear": (0.46, (0.22, 0.36), (0.0001, 0.0009)),
    "thin_cloud": (0.2, (0.45, 0.7), (0.0003, 0.0014)),
    "haze": (0.14, (0.4, 0.6), (0.0012, 0.0028)),
    "overcast": (0.2, (0.92, 1.0), (0.0003, 0.0022)),
}
_MOST_SUN = 1.9  # a low sun would else burn out every wall that faces it


def _triple(values: NDArray[np.floating]) -> Rgb:
    return float(values[0]), float(values[1]), float(values[2])


def draw_daylight(rng: np.random.Generator) -> Daylight:
    """Draw a time of day and its weather; an automatic exposure has already seen to the level."""
    weights = np.array([sky[0] for sky in _SKIES.values()])
    name = str(rng.choice(list(_SKIES), p=weights / weights.sum()))
    _, sky_share, haze = _SKIES[name]
    elevation = float(np.deg2rad(rng.uniform(15, 75)))
    level = float(rng.uniform(1.0, 1.35))
    share = float(rng.uniform(*sky_share))
    sun = min(level * (1 - share) / np.sin(elevation), _MOST_SUN)
    sky = level - sun * np.sin(elevation)
    warm = float(np.clip(np.deg2rad(50) - elevation, 0, 0.6)) * 0.75  # a low sun is yellow
    blue = 0.12 * (1 - share)  # the sky that lights the shadows of a clear day is blue
    is_wet = rng.random() < (0.5 if name == "overcast" else 0.12)
    tone = rng.normal(0, 0.03)
    grey = float(rng.uniform(0.5, 0.8))
    day = Daylight(
        azimuth_rad=float(rng.uniform(0, 2 * np.pi)),
        elevation_rad=elevation,
        sun_rgb=_triple(sun * np.array([1.0, 1 - 0.3 * warm, 1 - 0.85 * warm])),
        sky_rgb=_triple(sky * np.array([1 - blue, 1.0, 1 + blue])),
        haze_per_m=float(rng.uniform(*haze)),
        haze_rgb=_triple(grey * np.array([0.94, 1.0, 1.06 + 0.5 * blue])),
        balance_rgb=_triple(np.array([1 + tone, 1 + rng.normal(0, 0.012), 1 - tone])),
        vivid=float(rng.uniform(0.66, 1.05)),
        wet=float(rng.uniform(0.45, 1.0)) if is_wet else 0.0,
    )
    cloud, gain = _CLOUDS[name]
    return replace(
        day,
        cloud=float(rng.uniform(*cloud)),
        sky_gain=float(np.exp(rng.uniform(*np.log(gain)))),
        clouds_at=(float(rng.random()), float(rng.random())),
    )
