"""The sub-commands, one file each; ``encode`` is in :mod:`infogan_tool.cli.encode`.

train       images to a run
export      a run to a bundle
sweep       several seeds of a training
name        names for categories and styles
outliers    the odd images of a folder
sort        images into folders by category
select      ranking of trained seeds without labels
generate    codes to images
traverse    images along one code
explore     the web page
evaluate    metrics of a bundle
report      an HTML page about runs and bundles
info        description of a bundle
doctor      check of the installation
"""
