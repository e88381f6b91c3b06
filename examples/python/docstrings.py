"""Docstrings of the Python package from the library's headers: `docstrings.py INCLUDE/spheremix NATIVE OUT.hpp`.

Of the names that the sources in NATIVE bind.

A function's text is the sentence above it (///) and the head of its header: formula, shapes, errors, source. Where the
head points at formula/, that header's text comes too.
"""
import pathlib
import re
import sys
import textwrap

FOLDERS = ("core", "io", "sphere", "mixup", "metrics", "losses")
DECLARATION = re.compile(r"(?:class|struct|enum class|auto|void|double|[\w:<>, ]+[>\w&])\s+(\w+)(?:\(| \{| :)")


def plain(text):
    """C++ words as a reader of Python meets them."""
    for there, here in (
        ("std::invalid_argument", "ValueError"),
        ("io::Error", "spheremix.io.Error"),
        ("std::vector<Index>", "a sequence of indices"),
    ):
        text = text.replace(there, here)
    return text


def head(lines):
    """The first comment of a file, and the comment after `#pragma once` if that is where it stands."""
    text, started = [], False
    for line in lines:
        if line.startswith("//"):
            started = True
            text.append(line[3:] if line.startswith("// ") else line[2:])
        elif started or not (line.startswith("#pragma") or not line.strip()):
            break
    return "\n".join(text).strip("\n")


def pointed_at(include, about):
    """The header in formula/ that a head points at, or None."""
    pointer = re.search(r"in\s+formula/(\w+\.hpp)", about)
    file = include / "formula" / pointer.group(1) if pointer else None
    return file if file and file.exists() else None


def sentences(lines):
    """name -> the first /// comment above it."""
    found, comment = {}, []
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("/// "):
            comment.append(stripped[4:])
        elif stripped.startswith(("template", "requires", "[[nodiscard]]")) and not re.search(r"\w\(", stripped.split("]]")[-1]):
            continue  # between the comment and the name
        else:
            match = DECLARATION.search(stripped)
            if match and match.group(1) not in found:
                found[match.group(1)] = " ".join(comment)
            comment = []
    return found


def texts(include):
    """(name, text), the header's own names before those that only a macro or another header's text has."""
    later = []
    for folder in FOLDERS:
        for path in sorted((include / folder).glob("*.hpp")) + sorted((include / folder / "detail").glob("*.hpp")):
            lines = path.read_text().splitlines()
            about = head(lines)
            formula = pointed_at(include, about)
            if formula:
                said = head(formula.read_text().splitlines())
                rest = about.split("\n", 1)[1] if "\n" in about else ""
                about = said.lstrip("\n/ ") + "\n" + rest
            public = {name: text for name, text in sentences(lines).items() if not name.startswith("k")}
            named = [n for n in re.findall(r"\b([a-z]\w*|[A-Z]\w+)\(", path.read_text()) if n not in public]
            for name in list(public) + named:
                sentence = public.get(name, "")
                if name.endswith("_with_gradient"):
                    sentence = f"{name[: -len('_with_gradient')]} and its gradients, as a record."
                pair = f"{folder}::{name}", plain((sentence + "\n\n" + about).strip())
                if name in public:
                    yield pair
                else:
                    later.append(pair)
    yield from later


def main():
    include, native, out = map(pathlib.Path, sys.argv[1:])
    out.parent.mkdir(parents=True, exist_ok=True)
    sources = "".join(path.read_text() for path in native.glob("*.cpp"))
    bound = set(re.findall(r'"(?:\w+::)?(\w+)"', sources)) | set(re.findall(r"LOSS\((\w+)[,)]", sources))
    known = {}
    for name, text in texts(include):
        if name.split("::")[1].removesuffix("_with_gradient") in bound or name.split("::")[1] in bound:
            known.setdefault(name, text)
    body = ",\n".join(f'  {{"{name}", R"===({text})==="}}' for name, text in sorted(known.items()))
    out.write_text(
        "// Made by docstrings.py.\n#pragma once\n\nnamespace spheremix::python {\nstruct Text {\n  const char *name, *text;\n};\n"
        f"inline constexpr Text kTexts[] = {{\n{body}}};\n}}  // namespace spheremix::python\n"
    )


if __name__ == "__main__":
    main()
