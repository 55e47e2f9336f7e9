"""The explorer: a page that infers the codes of an image, changes them, and generates images.

- :mod:`.api`: the page's two requests, ``encode`` and ``generate``.
- :mod:`.description`: the page's files, its security policy, and what it knows of each bundle.
- :mod:`.data_set`: the images of a folder and their codes.
- :mod:`.watch`: what the page of a training reads from the run folder.
- :mod:`.server`: the web server on this machine.
- :mod:`.guard`: the limits of requests, and their headers.
- :mod:`.connections`: the limits of connections.
- :mod:`.static_site`: the page as files for any file server; the browser runs the graphs.
- :mod:`.single_file`: the page as one file that opens from disk.
- :mod:`.onnxruntime_web`: what runs the graphs in the browser.

``page/`` is the page: plain JavaScript modules without a build step.
"""
