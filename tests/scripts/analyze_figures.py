#!/usr/bin/env python3
"""docs/analyze_figures.md: every figure of spheremix-analyze, from examples/analyze/metric.hpp.

  analyze_figures.py --write   writes the page
  analyze_figures.py           says whether the page is what it would write
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/analyze_figures.md"
ENTRY = re.compile(r'\{((?:"(?:[^"\\]|\\.)*"\s*,?\s*)+)(\d+)\s*,?\s*(?:Measures::(\w+))?([^{}]*)\}', re.S)
STRINGS = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*,)?')
SCOPES = {"modality": "a modality: `image`", "pair": "a pair: `image-text`", "direction": "a direction: `image-text`, `text-image`",
          "modality_or_direction": "a modality or a direction", "versions": "`--drift`", "pair_or_versions": "a pair, `--drift`"}
HEAD = """# Figures of spheremix-analyze

Every figure by the name that `--fail-if`, the JSON and the CSV have for it. `tests/scripts/analyze_figures.py --write` makes this page.

| name | what it is | formula | good | of |
|---|---|---|---|---|
"""


def rows():
    table = (ROOT / "examples/analyze/metric.hpp").read_text().split("table = {", 1)[1].split("};", 1)[0]
    for strings, _, scope, rest in ENTRY.findall(table):
        fields, text = [], ""
        for part, comma in STRINGS.findall(strings):
            text += part
            if comma:
                fields.append(text.replace('\\"', '"').replace("|", "\\|"))
                text = ""
        key, name, formula, good = fields
        extra = ", `--labels`" if rest.replace(" ", "") == ",true" else ", `--qrels`" if "true" in rest else ""
        yield f"| `{key}` | {name} | {formula} | {good} | {SCOPES[scope or 'pair']}{extra} |\n"


def main():
    page = HEAD + "".join(rows())
    if "--write" in sys.argv:
        PAGE.write_text(page)
        return 0
    same = PAGE.exists() and PAGE.read_text() == page and page.count("\n") > 30
    print(f"{'passed' if same else 'failed'}: docs/{PAGE.name} lists the figures of the tool")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
