"""Encoding of any number of images, in constant memory.

    inputs/
      sources         command-line arguments to chunks of images, in order
      chunks          a chunk: images that are read and encoded together
      walk            folders and patterns to file names
      stdin_list      standard input: an image, or a list of paths
      arrays          images in .npy, .npz and IDX files
      value_scaling   arrays of any type to 8-bit images
      parquet         images in Parquet files
    decode/
      decoding        a chunk to an array of preprocessed images
      process_pool    the same in several processes
      worker          the process that decodes
      deadline        a time limit per image
    encode/
      encoded         an encoded chunk
      pipeline        decoding and encoding at the same time, in the order of the inputs
      ray_engine      the same on a Ray cluster
    output/
      formats         codes to JSON lines and CSV
      columns         columns of both CSV and Parquet
      parquet         codes to Parquet
      resumable       an output file from which a killed run resumes

A few images in files need only ``chunks``, ``decoding``, ``deadline``, ``encoded`` and ``formats``.
"""
