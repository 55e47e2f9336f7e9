"""The bundle: its format on disk, loading and checking it, and running its two graphs.

bundle
    ``Bundle`` (encode, generate, sample, traverse), ``Posterior`` and ``load_bundle``. Read this first.
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
