"""The ``infogan-tool`` command: checks options, makes one library call, prints."""
