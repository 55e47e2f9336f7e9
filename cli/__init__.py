"""The ``infogan-tool`` command.

    main          entry point
    fast_path     the most common command lines, parsed without Typer
    app           the Typer application
    root_help     the help of infogan-tool itself
    options       options that several commands share
    extras        checks that optional dependencies are installed
    output        data on standard output, messages on standard error, checks of output paths
    failures      exceptions to messages and exit codes
    stderr_console       a rich console on standard error
    progress      progress of long runs, on standard error
    training_progress    progress of a training
    codes         codes as options and as JSON
    sheets        sheets of generated images
    animation     traversals as animations
    comparison_tables    tables of sweep and select
    evaluation_tables    tables of evaluate
    commands/     one file per command
    encode/       the command encode
    explorer/     the web page of explore, and its server

A command checks its options, makes one library call and prints the result. Heavy modules are imported inside
functions, so that ``--help`` and a single image are fast.
"""
