#!/usr/bin/env python3
"""Prints the tests of a unittest file, one a line, without running it.

    list_python_tests.py method|class FILE      Class.method of each, or only the classes
"""
import ast
import pathlib
import sys


def main():
    by, path = sys.argv[1], pathlib.Path(sys.argv[2])
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
    if by == "class":
        found = list(dict.fromkeys(name.partition(".")[0] for name in found))
    print("\n".join(found))


if __name__ == "__main__":
    main()
