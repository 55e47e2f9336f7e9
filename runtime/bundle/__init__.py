"""The bundle: its format on disk, loading and checking it, and running its two graphs.

bundle
    ``Bundle`` (read, edit, encode, generate, sample, traverse) and ``load_bundle``. Read this first.
reading
    What Q infers: ``Posterior`` of N images, ``Reading`` of one; latents with changed codes.
metadata
    The bundle format: ``BundleMetadata``, ``read_metadata``, file names, and the tensors of both graphs.
example_images
    Real images that a bundle may carry.
names
    Names of categories and styles that a user gives: checks, TOML, folder names.
check_graphs
    Check a graph file's digest, and its inputs and outputs against the metadata.
self_check
    Generate images, encode them and compare the codes.
"""
