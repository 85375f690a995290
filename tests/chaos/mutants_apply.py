#!/usr/bin/env python3
"""The faults of mutants.py, which are tried by hand, are still faults of this code: what each changes is there, once.

Environment: YOKE_SOURCE_DIR.
"""
import os
import pathlib
import sys

from mutants import MUTANTS, mutated

source = pathlib.Path(os.environ["YOKE_SOURCE_DIR"])
for mutant in MUTANTS:
    path, text, changed = mutated(source, mutant)
    if changed == text:
        sys.exit(f"{mutant[0]}: changes nothing in {path}")
print(f"{len(MUTANTS)} faults")
