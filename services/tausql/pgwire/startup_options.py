"""The settings within a startup packet's `options`: what PGOPTIONS and `options=-c ...` become.

The frontend looks for the cluster that is named there, the processor for everything else: both have to read it alike,
or one could be told of a cluster that the other does not see.
"""

from __future__ import annotations

from tausql.protocol.errors import Code, SqlError

CLUSTER = "amzn-cluster-id"


def startup_options(text: str) -> list[tuple[str, str]]:
    """The settings within a startup packet's `options`: `-c name=value`, `-cname=value` and `--name=value`.

    Raises SqlError."""
    words: list[str] = []
    word = ""
    escaped = False
    for letter in text:
        if escaped:
            word += letter
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter.isspace():
            if word:
                words.append(word)
            word = ""
        else:
            word += letter
    if word:
        words.append(word)
    settings: list[tuple[str, str]] = []
    at = 0
    while at < len(words):
        current = words[at]
        if current == "-c" and at + 1 < len(words):
            at += 1
            current = words[at]
        elif current.startswith(("--", "-c")):
            current = current[2:]
        else:
            raise SqlError(Code.protocol_violation, f"invalid command-line argument for server process: {current}")
        name, equals, value = current.partition("=")
        if not equals:
            raise SqlError(Code.syntax_error, f"-c {current} requires a value")
        settings.append((name if name == CLUSTER else name.replace("-", "_"), value))
        at += 1
    return settings
