"""One HTML page that compares runs and bundles: training curves, images, codes, metrics.

- ``write``: write the page and its figures; called by the command line.
- ``collect``: from a run or bundle on disk to an ``entry``, the data of one column of the page. It reads
  ``metrics_log`` and ``samples`` (samples over training) of a run, runs ``export.evaluation`` and ``render``,
  which generates images and measures ``effects`` and ``sharpness``; ``facts``: properties as text.
- ``sections``: draws the figures of all sections: ``curves`` of the training, ``grids`` of images, ``charts``
  of metrics, on a ``canvas``; ``panels`` are the parts of a section, ``captions`` their titles and texts.
- ``page``: the HTML page; ``tables``: its tables; ``html``: escaping and markup.

docs/guide/report.md explains how to read each figure.
"""
