"""Lays out the source of the site: `stage.py FOLDER [REPORT]`, where REPORT is the page of the analyst's tool that will be there.

Pages are the repository's own Markdown files, which read well on their own too; links between them, and to files of the
repository, are turned to where those are on the site. The API reference is made from the headers.
"""
import os
import re
import shutil
import sys
from pathlib import Path

import api
from headers import INCLUDE, ROOT, entries, public_headers

# What the side bar shows, in order: (caption, {page of the repository: its name there}).
CONTENTS = [
    ("Start", {"docs/tutorial.md": "Tutorial", "docs/which_loss.md": "Which loss when", "docs/errors.md": "Errors and what to do",
               "docs/gallery.md": "Gallery"}),
    ("Guides", {"docs/python.md": "Python, and coming from PyTorch", "docs/distributed.md": "Several processes", "docs/gpu.md": "GPU",
                "docs/analyze.md": "spheremix-analyze", "docs/platforms.md": "Platforms"}),
    ("Reference", {"docs/formulas.md": "Formulas", "docs/options.md": "Options", "api/index": "API", "docs/numbers.md": "Numbers you can rely on",
                   "docs/analyze_figures.md": "Figures of spheremix-analyze", "docs/glossary.md": "Glossary", "docs/design.md": "Design"}),
    ("Measured", {"docs/benchmarks.md": "Benchmarks", "docs/papers.md": "The papers on real data", "docs/notes/benchmarks.md": "Notes: benchmarks",
                  "docs/notes/papers.md": "Notes: papers", "docs/notes/gpu.md": "Notes: GPU", "docs/notes/analyze.md": "Notes: spheremix-analyze",
                  "docs/notes/design.md": "Notes: the shape of the code"}),
    ("Project", {"CONTRIBUTING.md": "Contributing", "CHANGELOG.md": "Changelog", "packaging/README.md": "Packaging",
                 "examples/README.md": "Examples", "examples/python/README.md": "The Python package"}),
]
HOME = "README.md"
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]*)(#[^)\s]*)?(\))")
LANGUAGES = {".cpp": "cpp", ".hpp": "cpp", ".cu": "cuda", ".cuh": "cuda", ".py": "python", ".sh": "sh", ".cmake": "cmake", ".json": "json"}


def place(path):
    """Where a file of the repository is in the site's source, or None for what is copied to its own path."""
    if path == HOME:
        return "index.md"
    if path.startswith("include/spheremix/") and ROOT / path in public_headers():
        return "api/" + path.removeprefix("include/spheremix/") + ".md"
    if Path(path).suffix in LANGUAGES or Path(path).name in ("LICENSE", "faults.tsv"):
        return "source/" + path + ".md"
    return path.removeprefix("docs/") if path.endswith(".md") else path


class Stage:
    def __init__(self, folder, report):
        self.folder, self.report, self.waiting, self.known = folder, report, [], set()

    def write(self, where, text):
        target = self.folder / where
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def want(self, path):
        if path not in self.known:
            self.known.add(path)
            self.waiting.append(path)

    def link(self, page, target, anchor):
        """A link of a page of the repository, as it must be on the site."""
        if "://" in target or target.startswith("mailto:") or not target:
            return target + anchor
        path = os.path.normpath(os.path.join(os.path.dirname(page), target))
        if (ROOT / path).is_dir():
            path = os.path.join(path, "README.md")
        if not (ROOT / path).exists():
            return target + anchor
        self.want(path)
        return os.path.relpath(place(path), os.path.dirname(place(page)) or ".") + anchor

    def markdown(self, page):
        def turned(match):
            return match.group(1) + self.link(page, match.group(2), match.group(3) or "") + match.group(4)
        text = (ROOT / page).read_text()
        if page == "docs/analyze.md" and self.report:
            text = text.replace("![The report", f'**<a href="{self.report}">Open this very report</a>**, alive.\n\n![The report', 1)
        if page == "docs/formulas.md":
            text = with_list(text)
        parts = re.split(r"(^```.*?^```$|`[^`\n]*`)", text, flags=re.S | re.M)
        return "".join(p if i % 2 else LINK.sub(turned, p) for i, p in enumerate(parts))

    def file(self, path):
        where, suffix = place(path), Path(path).suffix
        if where.startswith("source/"):
            body = (ROOT / path).read_text()
            self.write(where, f"---\norphan: true\n---\n# {path}\n\n````{LANGUAGES.get(suffix, 'text')}\n{body}\n````\n")
        elif path.endswith(".md"):
            listed = any(path in pages for _, pages in CONTENTS) or path == HOME
            self.write(where, ("" if listed else "---\norphan: true\n---\n") + self.markdown(path) + (contents() if path == HOME else ""))
        elif not where.startswith("api/"):
            (self.folder / where).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, self.folder / where)


def with_list(text):
    """The page of formulas with a list of its entries, folder by folder, after its first paragraph."""
    lines = []
    for section in re.split(r"(?m)^## ", text)[1:]:
        titles = re.findall(r"(?m)^### (.+)$", section)
        links = (f"[{title.replace('`', '')}](#{re.sub(r'[^a-z0-9_ -]', '', title.lower()).replace(' ', '-')})" for title in titles)
        lines.append(f"- **{section.splitlines()[0]}**: " + " · ".join(links))
    head, rest = text.split("\n\n", 2)[:2], text.split("\n\n", 2)[2]
    return "\n\n".join([*head, "\n".join(lines), rest])


def contents():
    out = ""
    for caption, pages in CONTENTS:
        lines = "\n".join(f"{name} <{place(path).removesuffix('.md') if path.endswith('.md') else path}>" for path, name in pages.items()
                          if (ROOT / path).exists() or path.startswith("api/"))
        out += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"
    return out


def formulas():
    """name of a function -> anchor of its entry on the page of formulas."""
    found = {}
    for title, names, _ in entries():
        anchor = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        for name in names:
            found.setdefault(name, anchor)
    return found


def main():
    stage = Stage(Path(sys.argv[1]), "".join(sys.argv[2:]))
    for page in [HOME] + [p for _, pages in CONTENTS for p in pages if (ROOT / p).exists()]:
        stage.want(page)
    anchors = formulas()
    for path in public_headers():
        stage.write(place(str(path.relative_to(ROOT))), api.page(path, anchors))
    names = [str(p.relative_to(INCLUDE)) for p in public_headers()]
    hidden = "\n".join(f"{name.removesuffix('.hpp')} <{name}>" for name in sorted(names, key=lambda n: (list(api.FOLDERS).index(n.split("/")[0]), n)))
    stage.write("api/index.md", api.index() + f"\n```{{toctree}}\n:hidden:\n\n{hidden}\n```\n")
    while stage.waiting:
        stage.file(stage.waiting.pop())


if __name__ == "__main__":
    main()
