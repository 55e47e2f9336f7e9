"""One page that shows what runs and bundles became, and sets them side by side.

``journal`` reads a run's figures and ``sheets`` its sample sheets; ``effects`` and ``sharpness`` measure what
``evaluate`` does not; ``gathering`` brings them together with the measurements of ``export.evaluation`` into
a ``entry`` for each run or bundle. ``curves``, ``grids`` and ``charts`` draw entries on ``canvas`` into
``panels``, ``tables`` and ``page`` write the HTML, and ``writing`` is what the command line calls.
docs/guide/report.md says how to read each figure.
"""
