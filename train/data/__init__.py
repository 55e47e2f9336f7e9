"""Training images: built-in data sets, IDX files, folders of images, and images given in Python.

==================  ==========================================================================
`opening`           :func:`open_data`: from what a training is given to its images
`source`            :class:`ImageSource`: images by index, which is all that training uses
`stream`            images that are read as they are needed
`given`             arrays, tensors and data sets given in Python
`load`              :func:`load_images`: from the value of ``--data`` to images in memory
`imageset`          :class:`ImageSet`: images, labels and names
`factors`           :class:`Factors`: the known factors of images
`factors_file`      factors.csv, the factors of a folder of images
`builtin`           the data sets known by name, and the folder of downloads
`torchvision_sets`  those that torchvision downloads
`computed`          :class:`ComputedImages`: images that are computed when they are needed
`dsprites`          dSprites, rendered
`rooms`             rooms, rendered
`folder`            folders of images, of classes, of splits, of IDX files
`idx`               IDX files
`image_files`       image files
`convert`           conversion to the size and channels of the training
==================  ==========================================================================
"""

from infogan_tool.train.data.builtin import BUILTIN_NAMES, default_root
from infogan_tool.train.data.computed import ComputedImages
from infogan_tool.train.data.factors import Factors
from infogan_tool.train.data.imageset import ImageSet
from infogan_tool.train.data.load import load_images, load_test_images

__all__ = [
    "BUILTIN_NAMES",
    "ComputedImages",
    "Factors",
    "ImageSet",
    "default_root",
    "load_images",
    "load_test_images",
]
