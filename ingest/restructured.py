"""reStructuredText to HTML, by docutils with all that reaches outside the text turned off."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Any, Final

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree

_SETTINGS: Final[dict[str, Any]] = {
    "_disable_config": True,  # no configuration file of this machine is looked for
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "embed_stylesheet": False,
    "stylesheet_path": "",
    "syntax_highlight": "none",
    "math_output": "LaTeX",  # as it was written
    "report_level": 3,  # of these the tree keeps a message with the text that was not understood
    "halt_level": 5,
    "warning_stream": False,
    "traceback": True,
    "id_prefix": "",
    "input_encoding": "unicode",
    "output_encoding": "unicode",
}
_MAX_NESTING: Final = 8
_DIRECTIVE: Final = re.compile(r"\.\.[ \t]+(?P<name>[\w:+.-]+)::[ \t]*(?P<argument>.*)")
_OPTION: Final = re.compile(r"[ \t]*:[\w-]+:(?:[ \t].*)?$")
_NO_TEXT: Final = frozenset({"toctree", "include", "literalinclude", "autosummary", "raw", "highlight", "index"})
_ROLE: Final = re.compile(r":[\w:.+-]+:`[~!]?(?P<text>[^`]+?)(?:\s*<[^`<>]*>)?`\Z")
_TODAY: Final = re.compile(r"^([ \t]*\.\.[ \t]+\|[^|\n]+\|[ \t]+)date::.*$", re.MULTILINE)
_ELSEWHERE: Final = re.compile(r"^[ \t]*\.\.[ \t]+(?:include|literalinclude|csv-table|raw)::", re.MULTILINE)
_NAMES_A_FILE: Final = re.compile(r"^[ \t]*(?:\.\.[ \t]+(?:literal)?include::|:(?:file|url):)[ \t]*(\S+)", re.MULTILINE)


def rst_html(text: str) -> tuple[str, list[str]]:
    """A page of HTML and warnings. What docutils does not know (Sphinx's directives and roles) keeps its words.

    Args:
        text: canonical.
    """
    tree = _tree(_TODAY.sub(r"\1replace:: date", text), 0)
    titled = isinstance(tree.next_node(nodes.Titular), nodes.title) and tree.get("title")
    settings = {**_SETTINGS, "initial_header_level": 2 if titled else 1}
    page = publish_from_doctree(tree, writer="html5", settings_overrides=settings)
    files = _NAMES_A_FILE.findall(text) if _ELSEWHERE.search(text) else []
    named = ", ".join(map(repr, files[:10]))
    return str(page), [f"Files that the text names are not read into it: {named}. Add them by themselves."] * bool(
        files
    )


def _tree(text: str, nesting: int) -> nodes.document:
    tree = publish_doctree(text, settings_overrides=_SETTINGS)
    for message in list(tree.findall(nodes.system_message)):
        parent = message.parent
        if parent is None:
            continue
        source = next(iter(message.findall(nodes.literal_block)), None)
        kept = _understood(source.astext(), nesting) if source is not None and nesting < _MAX_NESTING else []
        parent.replace(message, kept)
    for section in list(tree.findall(nodes.section)):
        if "system-messages" in section["classes"] and section.parent is not None:
            section.parent.remove(section)
    for broken in list(tree.findall(nodes.problematic)):
        role = _ROLE.match(broken.astext())
        broken.parent.replace(broken, nodes.Text(role["text"] if role else broken.astext()))
    for topic in list(tree.findall(nodes.topic)):
        if "contents" in topic["classes"]:  # made by docutils from the headings
            topic.parent.remove(topic)
    return tree


def _understood(source: str, nesting: int) -> Iterable[nodes.Node]:
    """The words of a directive that docutils does not know: its argument and its content."""
    lines = source.split("\n")
    directive = _DIRECTIVE.match(lines[0].strip())
    if directive is None:
        return [nodes.literal_block(source, source)]
    if directive["name"].rpartition(":")[2] in _NO_TEXT:
        return []
    body = lines[1:]
    while body and _OPTION.match(body[0]):
        body.pop(0)
    content = textwrap.dedent("\n".join(body)).strip("\n")
    inner = _tree("\n\n".join(filter(None, [directive["argument"].strip(), content])), nesting + 1)
    children = list(inner.children)
    for child in children:
        inner.remove(child)
    return children
