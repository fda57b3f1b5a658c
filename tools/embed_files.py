#!/usr/bin/env python3
"""Writes a C++ source that holds text files, for files that belong inside the binary.

    embed_files.py OUTPUT HEADER NAMESPACE FUNCTION TYPE FILE…

HEADER declares `struct TYPE { std::string_view name; std::string_view <second>; };` and
`std::span<const TYPE> NAMESPACE::FUNCTION();`. The name is the file's name without its extension.
"""
import pathlib
import sys

DELIMITER = "embedded"
# Compilers limit the length of one literal; adjacent ones are joined.
LITERAL_LENGTH_MAX = 16000


def literal(text: str) -> str:
    if f"){DELIMITER}\"" in text:
        raise SystemExit("embed_files: the file holds the delimiter of a raw string")
    parts = [text[i:i + LITERAL_LENGTH_MAX] for i in range(0, len(text), LITERAL_LENGTH_MAX)]
    return "\n".join(f'R"{DELIMITER}({part}){DELIMITER}"' for part in parts or [""])


def main() -> None:
    output, header, namespace, function, kind, *files = sys.argv[1:]
    rows = [f'    {{"{path.stem}", {literal(path.read_text())}}},\n'
            for path in sorted(map(pathlib.Path, files), key=lambda path: path.name)]
    pathlib.Path(output).write_text(
        f'#include "{header}"\n\n#include <array>\n\nnamespace {namespace} {{\n\n'
        f"std::span<const {kind}> {function}() {{\n"
        f"  static constexpr std::array<{kind}, {len(rows)}> files = {{{{\n{''.join(rows)}  }}}};\n"
        f"  return files;\n}}\n\n}}  // namespace {namespace}\n")


if __name__ == "__main__":
    main()
