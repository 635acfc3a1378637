"""
The cases, a file for each subject. A file has CASES: {name for --only: function(bench)}, in the order in which they run; or
LONG_CASES, which take minutes each and run only when they are named.

A function starts what it needs (bench.start, bench.reference, bench.load), measures ours and the reference in turn,
tells rows of the table (bench.row and its like), and stops what it has started. AS and TGS run already.
"""
import importlib
import pkgutil


def all_cases():
    """Those that always run, and the long ones."""
    usual, long = {}, {}
    for name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        usual.update(getattr(module, "CASES", {}))
        long.update(getattr(module, "LONG_CASES", {}))
    return usual, long
