"""The API reference as Markdown: a page a public header, and one that lists them.

A page shows the head of the header (where it points at formula/, that header's head first), then every public name with its
declarations and comments.
"""
import functools
import re

from headers import INCLUDE, declarations, formula_of, head, lent, public_headers

FOLDERS = {
    "losses": "Losses: value, gradient, options",
    "metrics": "Metrics: what a set of embeddings is like",
    "mixup": "Mixing rows, and the draws it takes",
    "sphere": "Geometry of unit rows",
    "io": "Files of arrays",
    "core": "Views, workspace, threads, random numbers, communicators",
    "math": "Scalar functions, on both machines",
    "mpi": "Processes of MPI",
}
LABEL = re.compile(r"^([A-Z][A-Za-z ]{2,11}?|\[Source\])(?:  +|: )(\S.*)$")
CODE = re.compile(r"(`[^`]+`|(?:\w+::)+\w+(?:\(\))?|\b(?:k[A-Z]\w+|[a-z]{2,}[0-9]?(?:_[a-z0-9]{2,})+)\b(?:\(\))?|\b[\w/]+\.(?:hpp|cuh|npy|py)\b)")


def escaped(text):
    """Plain text as Markdown; names of code as code."""
    parts = CODE.split(text)
    return "".join(f"`{p.strip('`')}`" if i % 2 else re.sub(r"([\\`*_{}\[\]<>#|~$^])", r"\\\1", p) for i, p in enumerate(parts))


def paragraphs(text):
    return "\n\n".join(escaped(" ".join(block.split())) for block in re.split(r"\n\s*\n", text) if block.strip())


def rendered(text):
    """The head of a header: its paragraphs, formulas (what is indented) and entries (Shapes, Errors, ...)."""
    out, prose, formula, entries = [], [], [], []

    def flush():
        if prose:
            out.append(escaped(" ".join(prose)))
        if formula:
            shift = min(len(line) - len(line.lstrip()) for line in formula if line.strip())
            out.append("```text\n" + "\n".join(line[shift:] for line in formula).strip("\n") + "\n```")
        prose.clear()
        formula.clear()

    column = 0
    for line in text.splitlines():
        label = LABEL.match(line)
        indent = len(line) - len(line.lstrip())
        if label:
            flush()
            column = label.start(2)
            entries.append((label.group(1).strip("[]"), [label.group(2)]))
        elif not line.strip():
            column = 0 if not entries else column
            if formula:
                formula.append("")
            else:
                flush()
        elif column and indent >= min(column, 4):
            entries[-1][1].append(line.strip())
        elif indent >= 2:
            if prose:
                flush()
            formula.append(line)
        else:
            column = 0
            if formula:
                flush()
            prose.append(line.strip())
    flush()
    table = "\n\n".join(f"{name}\n: {escaped(' '.join(lines))}" for name, lines in entries)
    return "\n\n".join(out + ([table] if table else []))


def first_sentence(text):
    text = " ".join(text.split("\n\n")[0].split())
    text = re.sub(r"^\w+ on the CPU: .*", "", text)
    return re.split(r"(?<=[a-z0-9)])[.:](?: |$)", text)[0].rstrip(".:")


def about(path):
    """(heads to show, declarations): the formula's header before the header that points at it."""
    files = [f for f in (formula_of(path), path) if f]
    heads = [head(f.read_text().splitlines()) for f in files]
    if len(heads) == 2 and "formula/" in heads[1].split("\n")[0]:
        heads[1] = heads[1].split("\n", 1)[1] if "\n" in heads[1] else ""
    return heads, [d for f in files for d in declarations(f)] + lent(path)


def said(declaration, stem):
    if declaration.comment:
        return paragraphs(declaration.comment)
    if declaration.name.endswith("Options"):
        return f"Options of `{stem}`."
    if declaration.name.endswith("_with_gradient"):
        return f"`{declaration.name.removesuffix('_with_gradient')}` and its gradients, by value."
    return ""


@functools.cache
def pages():
    """What a page may name -> a place under api/: headers (those of formula/ by a public one) and the functions they are called by."""
    names = {path: str(path.relative_to(INCLUDE)) for path in public_headers()}
    found = {str(formula_of(path).relative_to(INCLUDE)): name for path, name in names.items() if formula_of(path)}
    return found | {name: name for name in names.values()} | {p.stem: name for p, name in names.items() if p.parent.name in ("losses", "metrics")}


def linked(text, path):
    """Headers that are named, and functions after "as", as links to their pages."""
    def turned(match):
        word = match.group(1) or match.group(2)
        to = pages().get(word) or pages().get(f"{path.parent.name}/{word}")
        return f"[`{word}`](../{to}.md)" if to and INCLUDE / to != path else match.group()
    return re.sub(r"`([\w/]+\.hpp)`|(?<=\bas )`?([a-z]\w+)\b`?", turned, text)


def page(path, formulas):
    """Markdown of a header; `formulas`: name -> anchor on the page of formulas."""
    name = str(path.relative_to(INCLUDE))
    heads, found = about(path)
    out = [f"# {name}", f"```cpp\n#include <spheremix/{name}>\n```", *(linked(rendered(h), path) for h in heads if h)]
    anchor = next((formulas[d.name] for d in found if d.name in formulas), None)
    if anchor:
        out.append(f"Typeset, with its gradient and source: [Formulas](../../formulas.md#{anchor}).")
    for unique in dict.fromkeys(d.name for d in found):
        space = next(d.namespace for d in found if d.name == unique)
        out.append(f"## {space}::{unique}" if space else f"## {unique}")
        for d in (d for d in found if d.name == unique):
            text = linked(said(d, path.stem), path)
            shown = d.text.replace("[[nodiscard]] ", "").replace("SPHEREMIX_HD ", "").replace("SPHEREMIX_INLINE ", "")
            out.append(f"```cpp\n{shown}\n```" + (f"\n\n{text}" if text else ""))
    return "\n\n".join(out) + "\n"


def index():
    out = ["# API reference",
           "Every public name of `spheremix.hpp`, made from the comments of the headers. Device headers have the same paths below "
           "`gpu/`; [the CUDA page](../gpu.md) lists them. Python has the same names: `help(spheremix.losses.clip)`."]
    for folder, title in FOLDERS.items():
        rows = []
        for path in public_headers():
            if path.parent.name != folder:
                continue
            heads, found = about(path)
            names = [n for n in dict.fromkeys(d.name for d in found if d.kind in ("function", "struct", "concept"))
                     if not n.endswith(("Options", "Gradient", "Result"))]
            name = f"{folder}/{path.name}"
            rows.append(f"| [{path.name}]({name}.md) | {escaped(first_sentence(heads[0]))} | {', '.join(f'`{n}`' for n in names[:6])} |")
        out.append(f"## {title}\n\n| header, in `{folder}/` | what | names |\n|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(out) + "\n"
