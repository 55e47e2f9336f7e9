"""Export: a run to a bundle of ONNX files, and measurements of that bundle.

>>> from infogan_tool.export import export_run
>>> bundle = export_run("run", "bundle")  # doctest: +SKIP

The run is a folder or what :func:`~infogan_tool.train.fit` returns.

From a run to its outputs::

    outputs                what the command ``export`` calls: a bundle in any precision, a Triton repository
    run_to_bundle          read this first: checkpoint to graphs, parity, names and metadata, written at once
    graphs                 G and Q as torch modules with the inputs and outputs of the bundle format
    onnx_file              one graph to one ONNX file
    parity                 comparison of the files with torch
    model_card             names of categories and styles
    examples               example images, chosen to cover the categories
    limitations            sentences for the model card
    preprocessing_options  the preprocessing of a bundle, by data set or by option
    triton                 the Triton model repository
    atomic_folder          writing a folder of files at once
    run_files              a run folder and its JSON files, without torch
    image_limit            how many images a statistic is estimated from
    threads                torch on one thread, for results that do not depend on the machine
    rewrite/               exact rewrites of layers for faster inference
    quantization/          fp16 and int8
    ood/                   the out-of-distribution score

Measurements::

    evaluation/            metrics of a bundle on real and generated images; knows nothing of the exporter
    open_source            a bundle, or a run exported to a temporary one
    evaluate               what the command ``evaluate`` calls
    save_results           results into the model card
    contact_sheets         images of each category and style, to find names for them
    image_page             an HTML page of captioned images
    save_names             names of categories and styles into the metadata
    sweep                  training, export and accuracy of several seeds
    select                 ranking of bundles without labels
    report/                the HTML report
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.runtime.lazy import lazy_names

if TYPE_CHECKING:
    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.export.run_to_bundle import export_run

__all__ = ["PreprocessingOptions", "export_run"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "preprocessing_options": ("PreprocessingOptions",),
        "run_to_bundle": ("export_run",),
    },
)
