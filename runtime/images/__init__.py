"""Images: files, arrays, and the conversion between them.

spec
    ``ImageSpec``: size, channels and value range of the graphs' images.
files
    ``read_image``, ``load_image``, ``as_png``, ``save_png``. Read this first.
convert
    Convert a decoded image to the image spec: ``preprocess``, or ``fit`` without a preprocessing.
arrays
    uint8 NHWC to float32 NCHW and back, value scales of floats, sheets of images.
formats
    The table of file formats (signatures, suffixes), and opening an untrusted image file.
tag_limits
    A limit on tags of TIFF and EXIF that Pillow lacks before version 13.
plain_png
    A fast reader of small grey PNG files, as data sets have them.
idx
    The IDX format of MNIST.
animation
    GIF and WebP animations.
"""
