"""Data sets for training: built-in names, IDX files and folders of images, all as one uint8 block."""

from infogan_tool.train.data.builtin import BUILTIN_NAMES, default_root
from infogan_tool.train.data.imageset import ImageSet
from infogan_tool.train.data.load import load_images, load_test_images

__all__ = ["BUILTIN_NAMES", "ImageSet", "default_root", "load_images", "load_test_images"]
