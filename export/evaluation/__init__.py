"""Measure an exported bundle: how well its encoder sorts real images, what its codes mean, how G draws.

One family of metrics is one small file of pure functions over arrays; none of them sees a network, so that
each can be tested with a perfect, a useless and a degenerate representation. ``clustering``, ``calibration``,
``information``, ``round_trip``, ``purity``, ``distances``, ``coverage``, ``attributes``, ``correlation`` and
``naming`` are such files. ``classifier`` trains the independent classifier that some of them need,
``styles`` puts
names to continuous codes, ``measure`` asks the bundle and fills the ``report``, and ``target`` opens what the
command line names. docs/reference/evaluation.md says what each row means.
"""
