"""The ``encode`` command.

command       the Typer command
options       its options and their checks
run           decides where to encode
in_process    a few images, in this process
bulk          many images, several chunks at a time
show          what is printed, and --show-input
table         the table of codes
collect       codes of a whole folder, for the commands outliers and sort
"""
