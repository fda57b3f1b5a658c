"""Graph targets as OData reads them: version, segments with their keys, query options.

Split at raw '/' first (not inside a parenthesised quoted key), percent-decode each segment once
afterwards. Written from the URL conventions, on purpose not from Holdfast's own classifier.
"""
import re
from urllib.parse import unquote_to_bytes, parse_qsl

VERSIONS = ("v1.0", "beta")
OPEN, CLOSE, QUOTE = ("(", "%28"), (")", "%29"), ("'", "%27")
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
KEYED = re.compile(r"(.+?)\((.*)\)", re.DOTALL)
NAMED_KEY = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)", re.DOTALL)


class BadTarget(Exception):
    """A target that Graph answers with 400 and this text."""


class Segment:
    """A path segment: `text` as decoded, `name` folded for comparing, `key` of its parentheses."""

    __slots__ = ("text", "name", "key", "called")

    def __init__(self, text):
        self.text = text
        self.key = None
        self.called = False  # Written with (), as functions and some actions are.
        match = KEYED.fullmatch(text)
        if match:
            argument = match.group(2)
            if argument == "":
                text, self.called = match.group(1), True
            else:
                key = read_key(argument)
                if key is not None:
                    text, self.key = match.group(1), key
        name = text.lower()
        for prefix in ("microsoft.graph.", "graph."):
            if name.startswith(prefix):
                name = name[len(prefix):]
                break
        self.name = name


class Target:
    """A parsed target. `options` holds the query as (name, value) in order."""

    __slots__ = ("version", "segments", "options", "path")

    def __init__(self, path, version, segments, options):
        self.path = path
        self.version = version
        self.segments = segments
        self.options = options

    def option(self, name):
        for key, value in self.options:
            if key.lower() == name or key.lower() == "$" + name:
                return value
        return None


def read_key(argument):
    """The value of 'x', id='x' or x; None when the parentheses do not hold one key."""
    named = NAMED_KEY.fullmatch(argument)
    if named and not argument.startswith("'"):
        argument = named.group(2)
    argument = argument.strip()
    if argument.startswith("'"):
        if len(argument) < 2 or not argument.endswith("'"):
            return None
        inside = argument[1:-1]
        if inside.replace("''", "").count("'"):
            return None
        return inside.replace("''", "'")
    return argument if "," not in argument and "'" not in argument else None


def split_path(path):
    """Splits at '/', but not inside a quoted key in parentheses."""
    if "(" not in path and "%28" not in path:
        return path.split("/")
    parts, start, position, depth, quoted = [], 0, 0, 0, False
    while position < len(path):
        token = path[position:position + 3] if path[position] == "%" else path[position]
        if depth and token in QUOTE:
            quoted = not quoted
        elif not quoted and token in OPEN:
            depth += 1
        elif not quoted and token in CLOSE:
            depth = max(0, depth - 1)
        elif token == "/" and not quoted:
            parts.append(path[start:position])
            start, depth = position + 1, 0
        position += len(token)
    parts.append(path[start:])
    return parts


def decode(text):
    if "%" not in text:
        return text
    if BAD_ESCAPE.search(text):
        raise BadTarget("The request URI is malformed: invalid percent-encoding.")
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise BadTarget("The request URI is malformed: not UTF-8.") from None


def parse(target):
    path, _, query = target.partition("?")
    texts = []
    for raw in split_path(path):
        text = decode(raw)
        if text in ("", "/", "$", "."):
            continue
        if text == "..":
            if texts:
                texts.pop()
            continue
        if any(ord(character) < 32 for character in text):
            raise BadTarget("The request URI is malformed: control characters.")
        texts.append(text)
    options = parse_qsl(query, keep_blank_values=True)
    if not texts:
        raise BadTarget("Invalid version: .")
    version = texts[0].lower()
    if version not in VERSIONS:
        raise BadTarget(f"Invalid version: {texts[0]}.")
    return Target(path, version, [Segment(text) for text in texts[1:]], options)
