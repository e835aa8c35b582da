"""The benchmark behind ``python -m ftcore bench``: ftcore beside Hugging Face on this machine.

cli.py        options, the order of things
models.py     named sizes with random weights, or a model of the user's own
texts.py      pairs of sentences with MRPC's lengths
side.py       one library's work, served by a process of its own
process.py    such processes, and one that keeps a processor busy
measures.py   what is measured, in alternating rounds
limit.py      the least time that a step can take on this machine
machine.py    processors, versions, load
figures.py    medians and quartiles
report.py     the tables
gpu.py        the same on a GPU: what is measured there, and its table
"""
