"""Images by the million: where they come from, how they are read side by side, where their codes go.

    inputs, walk, stdin_list    command-line arguments to chunks of images, in order, lazily
    arrays, parquet             images inside .npy, .npz, IDX and Parquet files
    decoding, pool, worker      chunks to arrays, in processes of their own
    pipeline                    decoding, encoding and writing at the same time, in the order of the inputs
    ray_engine                  the same on a Ray cluster
    formats, arrow              codes to JSON lines, CSV and Parquet
    resumable                   an output that goes on where a killed run stopped

Memory does not grow with the number of images. Nothing here is imported for a handful of images.
"""
