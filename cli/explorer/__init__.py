"""The explorer: a page on which pictures become codes and codes become pictures.

``page/`` is the page, plain JavaScript modules without a build step. :mod:`.server` answers it on this
machine through the runtime; :mod:`.static_site` writes it as files that answer themselves, in the browser.
"""
