#!/usr/bin/env python3
"""Prints Class.method of every test in a unittest file, one a line, without running the file."""
import ast
import pathlib
import sys


def main():
    path = pathlib.Path(sys.argv[1])
    found = [f"{outer.name}.{inner.name}"
             for outer in ast.parse(path.read_text(), str(path)).body
             if isinstance(outer, ast.ClassDef)
             for inner in outer.body
             if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef))
             and inner.name.startswith("test_")]
    names = [name.partition(".")[2] for name in found]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated or not found:
        sys.exit(f"{path}: no tests" if not found else
                 f"{path}: the same name in two classes: {', '.join(sorted(repeated))}")
    print("\n".join(found))


if __name__ == "__main__":
    main()
