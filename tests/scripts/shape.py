#!/usr/bin/env python3
"""The shape of the headers in numbers, for docs/notes/design.md. Checks nothing.

  shape.py [root of a checkout]     of this one by default
"""
import re
import sys
from pathlib import Path

import mutations
from include_floors import declared_twice

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]) / "include/spheremix"
TEXT = {p.relative_to(ROOT).as_posix(): p.read_text() for p in sorted(ROOT.rglob("*")) if p.suffix in (".hpp", ".cuh", ".inc")}
LINES = {name: text.count("\n") for name, text in TEXT.items()}
FOUR = [name for name in TEXT if re.match(r"(gpu/)?(losses|pairwise)/", name)]


def functions():
    """(lines, header, name) of every function with a body."""
    for name, text in TEXT.items():
        t = mutations.Text(text)
        for i, kind in enumerate(t.kind):
            if kind == "{" and t.owner[i][1] and not t.owner[i - 1][1] and i in t.pair:
                yield text.count("\n", t.tokens[i].start(), t.tokens[t.pair[i]].start()) + 1, name, t.owner[i][0]


code = sum(bool(line.strip()) and not line.strip().startswith("//") for name in FOUR for line in TEXT[name].split("\n"))
public = sum("/detail/" not in name and "pairwise/" not in name for name in FOUR)
print(f"headers: {len(TEXT)}, {sum(LINES.values())} lines, {sum(n > 200 for n in LINES.values())} above 200")
print(f"losses/, pairwise/ and those of gpu/: {len(FOUR)} headers, {sum(LINES[n] for n in FOUR)} lines, {code} of code, {public} public")
print(f"losses: {sum(n.startswith('losses/') and '/detail/' not in n for n in FOUR)} public headers on the CPU")
print(f"options, results and enums declared on both machines: {len(declared_twice(ROOT.parent))}")
print(f"functions named ..._bytes: {len(set(re.findall(r'[^_:.]([a-z][a-z0-9_]*_bytes)[(][^;{}]*[)][^;{}]*[{]', ' '.join(TEXT.values()))))}")
longest = sorted(functions(), reverse=True)
print(f"functions above 60 lines: {sum(f[0] > 60 for f in longest)}; the longest: " + ", ".join(f"{h} {n} ({k})" for k, h, n in longest[:3]))
