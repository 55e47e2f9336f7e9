"""The explorer: a page on which images become codes and codes become images.

``page/`` is the page, plain JavaScript modules without a build step. :mod:`.server` answers it on this
machine through the runtime; :mod:`.static_site` writes it as files that answer themselves, in the browser.
"""
