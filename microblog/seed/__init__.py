"""Fills an empty database with a made-up network of a given size and skew."""

from microblog.seed.load import Seeded, seed
from microblog.seed.shape import PRESETS, Shape

__all__ = ["PRESETS", "Seeded", "Shape", "seed"]
