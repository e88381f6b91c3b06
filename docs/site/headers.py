"""What the headers say of themselves: the public declarations of a header with their comments. And the entries of docs/formulas.md.

    python docs/site/headers.py     fails where a public name of spheremix.hpp has no comment

The headers are clang-formatted C++ and keep one style: `//` at the head of a file, `///` above a declaration, `///<` behind
a field. So a scanner of brackets is enough here; it knows no types.
"""
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include/spheremix"
sys.path.insert(0, str(ROOT / "examples/python"))
from docstrings import head, pointed_at  # noqa: E402  the head of a header, as Python's help() has it

HIDDEN = {"detail", "compiled", "formula"}  # formula: what the two machines share; its options stand in losses and metrics


@dataclass
class Declaration:
    kind: str       # function, struct, enum, concept, alias, constant
    name: str
    namespace: str  # losses, sphere, ...
    text: str       # without bodies
    comment: str    # the /// above it, "" where there is none


def blank(text):
    """The same text, as long, where comments, strings and preprocessor lines are spaces."""
    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    text = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-zA-Z])\'(?:\\.|[^\'\\\n])\'', spaces, text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", spaces, text, flags=re.M)


def closing(code, at):
    """Behind the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "{([") - (code[i] in "})]")
        if depth == 0:
            return i + 1
    raise ValueError("an unclosed bracket")


def end_of_head(code, at, end):
    """Where a declaration's body or its semicolon stands; `end` where there is neither."""
    while at < end and code[at] not in ";{":
        at = closing(code, at) if code[at] in "([" else at + 1
    return at


def comment_above(text, start):
    lines = []
    for line in reversed(text[:start].rstrip().splitlines()):
        if not line.strip().startswith("///"):
            break
        lines.append(line.strip()[3:].removeprefix(" "))
    return "\n".join(reversed(lines))


def without_bodies(text):
    """A struct as a reader wants it: fields, comments, functions without their bodies, nothing private."""
    code = blank(text)
    at, end = code.index("{") + 1, len(code) - 1
    out = text[:at]
    while at < end:
        stop = end_of_head(code, at, end)
        head_text = code[at:stop]
        if re.search(r"^\s*(private|protected):", head_text, re.M):
            break
        if stop >= end:  # the comment behind the last field
            out += text[at:end].rstrip()
            break
        if code[stop] == "{" and ("(" in head_text or "operator" in head_text) and "=" not in head_text.split("(")[0]:
            colon = re.search(r"\)\s*:\s", code[at:stop])
            keep = at + colon.start() + 1 if colon else stop
            stop = closing(code, stop)
            while colon and stop < end and not re.match(r"\s*\n", code[stop:]):  # a: b{c}, d{e} {}
                following = code.find("{", stop)
                stop = closing(code, following)
            out += text[at:keep].rstrip() + ";"
        elif code[stop] == "{":
            stop = closing(code, stop)
            out += text[at:stop]
        else:
            out += text[at:stop + 1]
            stop += 1
        at = stop
    return re.sub(r"\n\s*\n+", "\n", out.rstrip()) + "\n}"


def kind_and_name(text):
    code = re.sub(r"\[\[.*?\]\]", "", blank(text))
    for kind, pattern in (("concept", r"\bconcept (\w+)"), ("enum", r"\benum (?:class )?(\w+)"),
                          ("struct", r"^(?:template.*?>\s*)?(?:requires [^{;]*?)?\s*(?:struct|class) (\w+)"),
                          ("alias", r"\busing (\w+) =")):
        found = re.search(pattern, code.strip(), re.S)
        if found:
            return kind, found.group(1)
    plain = re.sub(r"^\s*(template <.*?>\s*\n|requires .*?\n)*", "", code.strip() + "\n")
    found = re.search(r"\b(operator\s*\S+?|\w+)\(", plain if "operator" in plain else plain.split("=")[0])
    if found:
        return "function", found.group(1)
    found = re.search(r"(\w+)\s*(?:=|\{|;|$)", re.sub(r"^template <.*?>\s*\n", "", code.strip()))
    return "constant", found.group(1) if found else ""


def declarations(path):
    """All public declarations of a header, in order."""
    text = path.read_text()
    code, at, spaces, found = blank(text), 0, [], []
    while True:
        step = re.compile(r"\s*").match(code, at)
        at = step.end()
        if at >= len(code):
            return found
        if code[at] == "}":
            spaces.pop()
            at += 1
            continue
        opened = re.compile(r"(?:(?:inline )?namespace|extern)\s*([\w:]*)\s*\{").match(code, at)  # extern "C": its string is blank
        if opened:
            spaces.append(opened.group(1) or "detail")
            at = opened.end()
            continue
        macro = re.compile(r"SPHEREMIX_\w+(?=\()").match(code, at)
        if macro:
            at = closing(code, macro.end())
            continue
        start, stop = at, end_of_head(code, at, len(code))
        signature = text[start:stop].rstrip()
        kind, name = kind_and_name(signature)
        if code[stop] == "{":
            stop = closing(code, stop)
            while kind in ("concept", "struct", "enum", "constant") and code[stop - 1] != ";":
                stop = closing(code, stop) if code[stop] in "([{" else stop + 1
        else:
            stop += 1
        at = stop
        if signature.startswith("static_assert") or (kind == "struct" and "{" not in code[start:stop]):  # a forward declaration
            continue
        path_of = "::".join(spaces).split("::")
        if HIDDEN & set(path_of) or path_of[:1] != ["spheremix"]:
            continue
        whole = text[start:stop].rstrip(";").rstrip()
        if kind == "struct" and "{" in whole:
            whole = without_bodies(whole)
        elif kind == "function":
            whole = signature
        found.append(Declaration(kind, name, "::".join(path_of[1:]), whole + ";", comment_above(text, start)))


def public_headers():
    """The headers of spheremix.hpp and the two of bf16, as paths."""
    names = re.findall(r'#include "spheremix/(.*?)"', (INCLUDE / "spheremix.hpp").read_text())
    return [INCLUDE / n for n in sorted(names + ["losses/clip_bf16.hpp", "losses/info_nce_bf16.hpp", "mpi/communicator.hpp"])]


def formula_of(path):
    """The header in formula/ that a header's head points at, or whose name it has."""
    file = pointed_at(INCLUDE, head(path.read_text().splitlines())) or INCLUDE / "formula" / path.name
    return file if path.parent.name in ("losses", "metrics") and file.exists() else None


def lent(path):
    """Public structs and enums that a header shows and a header under detail/ declares: gradients and results, mostly."""
    text, found, waiting, seen = path.read_text(), [], [path], set()
    names = set(re.findall(r"\b[A-Z]\w+", blank(text)))
    while waiting:
        for name in re.findall(r'#include "spheremix/(\w+/detail/\S+)"', waiting.pop().read_text()):
            file = INCLUDE / name
            if file not in seen and file.exists():
                seen.add(file)
                waiting.append(file)
                found += [d for d in declarations(file) if d.kind in ("struct", "enum") and d.name in names]
    return found


def undocumented():
    """(header, name) of every public name that has no comment in any header.

    Options are said by their function and by their fields.
    """
    seen, said = {}, set()
    for path in public_headers():
        for file in filter(None, (path, formula_of(path))):
            for d in declarations(file) + lent(file):
                seen.setdefault((d.namespace, d.name), file.relative_to(INCLUDE))
                if d.comment or d.name.endswith("Options"):
                    said.add((d.namespace, d.name))
    return [(file, "::".join(filter(None, key))) for key, file in seen.items() if key not in said]


def entries():
    """(title, functions in it, body) of every entry of docs/formulas.md."""
    text = (ROOT / "docs/formulas.md").read_text()
    for title, body in re.findall(r"^### (.*)\n((?:(?!^##).*\n?)*)", text, re.M):
        yield title, re.findall(r"`(?:\w+::)?(\w+)`", title), body


if __name__ == "__main__":
    absent = undocumented()
    for file, name in absent:
        print(f"{file}: {name} has no comment")
    print(f"{'failed' if absent else 'passed'}: every public name has a comment")
    sys.exit(bool(absent))
