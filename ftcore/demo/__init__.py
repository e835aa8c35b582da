"""The demonstration behind ``python -m ftcore demo``, on ftcore's public names alone.

cli.py        options, the order of things, what is printed
choose.py     which model and which data, and why
tables.py     a user's own file: columns, labels, split
sentences.py  the paraphrase set that ftcore embeds
small.py      the small model that is trained from scratch
report.py     accuracy, F1, the plot
"""
