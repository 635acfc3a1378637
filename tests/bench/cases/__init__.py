"""
The cases, a file for each subject. A file has CASES: {name for --only: function(bench)}, in the order in which they run.

A function starts what it needs (bench.start, bench.reference, bench.load), measures ours and the reference in turn,
tells rows of the table (bench.row and its like), and stops what it has started. AS and TGS run already.
"""
import importlib
import pkgutil


def all_cases():
    found = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        found.update(importlib.import_module(f"{__name__}.{module}").CASES)
    return found
