"""Training images: built-in data sets, IDX files and folders of images, each as one uint8 block.

==================  ==========================================================================
`load`              :func:`load_images`: from the value of ``--data`` to images
`imageset`          :class:`ImageSet`: images, labels and names
`builtin`           the data sets known by name, and the folder of downloads
`torchvision_sets`  those that torchvision downloads
`folder`            folders of images, of classes, of splits, of IDX files
`idx`               IDX files
`image_files`       image files
`convert`           conversion to the size and channels of the training
==================  ==========================================================================
"""

from infogan_tool.train.data.builtin import BUILTIN_NAMES, default_root
from infogan_tool.train.data.imageset import ImageSet
from infogan_tool.train.data.load import load_images, load_test_images

__all__ = ["BUILTIN_NAMES", "ImageSet", "default_root", "load_images", "load_test_images"]
