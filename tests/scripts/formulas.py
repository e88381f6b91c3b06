#!/usr/bin/env python3
"""Does docs/formulas.md say what the headers say?

  every displayed formula of docs/formulas.md stands in the comments of a header of its entry
  every `L = ...` at the head of a loss stands in docs/formulas.md
  every function with an entry there exists

Formulas are compared symbol by symbol, TeX there and plain text here: brackets and spaces do not count. DERIVED
lists what no header has in this form.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs/site"))
from headers import INCLUDE, declarations, entries, formula_of, head, public_headers  # noqa: E402

ALSO = {"The arc": ["math/arc.hpp"], "slerp": ["math/arc_maps.hpp"], "exp_map": ["math/arc_maps.hpp"]}
DERIVED = ("gperp", "dL/du=wu", "dL/dv=wv", "dL/dt=theta", "k=g.gamma")  # the pullback of slerp, which arc_maps.hpp gives by coefficients
TEX = [(r"\\(?:begin|end)\{aligned\}|\\(?:left|right|bigl|bigr|,|;|!| |quad)", " "), (r"\\(?:d|t)?frac\{([^{}]*)\}\{([^{}]*)\}", r" \1 / \2 "),
       (r"\\(?:operatorname|text|mathrm|mathit)\*?\{((?:[^{}]|\\_)*)\}", r" \1 "), (r"\\cdot", " . "), (r"\\ne\b", " != "), (r"\\leq?\b", " <= "),
       (r"\\geq?\b", " >= "), (r"\\[lr]vert\b|\\mid\b", " | "), (r"\\\\", " "), (r"\\", " ")]


def symbols(text):
    """What counts of a formula."""
    text = re.sub(r"[\s(){}\[\]_&*]+", " ", text.replace("·", "."))
    return re.findall(r"[A-Za-z]+|\d+(?:\.\d+)?|\S", text)


def of_tex(text):
    for pattern, plain in TEX:
        text = re.sub(pattern, plain, text)
    return symbols(text)


def statements(block):
    """The formulas of a displayed block: its lines, a line that begins with {} belonging to the one before."""
    block = re.sub(r"\\(?:begin|end)\{aligned\}", "", block)
    out = []
    for line in block.split("\\\\"):
        for i, part in enumerate(line.split("\\qquad")):
            if i == 0 and line.strip().startswith("{}") and out:
                out[-1] += part
            else:
                out.append(part)
    out = [re.sub(r"^\s*\\text\{[a-z:]+\} &\\quad", "", part) for part in out]
    return [part.strip().rstrip(",") for part in out if part.strip()]


def comments(path):
    return " ".join(line.strip().lstrip("/").lstrip("< ") for line in path.read_text().splitlines() if line.strip().startswith("//"))


def contains(where, what):
    return "".join(what) in "".join(where)


def losses():
    """(header, formula) of every `L = ...` at the head of a public loss."""
    for path in public_headers():
        if path.parent.name != "losses" or path.stem.endswith("_bf16"):  # theirs are the originals' of rounded rows
            continue
        file = formula_of(path) or path
        lines = head(file.read_text().splitlines()).split("\n")
        for i, line in enumerate(lines):
            found = re.match(r"^ +(?:.*?  +)?(L = .*)$", line)
            if not found or "..." in line or "their sum" in line:  # said in words
                continue
            said = [re.split(r"  {2,}|,   ", found.group(1))[0]]
            for more in lines[i + 1:]:
                if not re.match(r"^ {4,}[+l(]", more) or re.match(r"^ +\(softplus", more) or "L = " in more:
                    break
                said.append(more)
            yield file, " ".join(said).strip(" ,")


def main():
    public = {}
    for path in public_headers():
        for file in filter(None, (path, formula_of(path))):
            for d in declarations(file):
                public.setdefault(d.name, []).append(file)
    everything_said = "\n".join(p.read_text() for p in INCLUDE.rglob("*.hpp"))
    wrong, shown, count = [], [], 0
    for title, names, body in entries():
        unknown = [n for n in names if n not in public and not re.search(rf"\b{n}\b", everything_said)]
        wrong += [f"{title}: there is no {n}" for n in unknown]
        files = [f for n in names for f in public.get(n, [])] + [INCLUDE / f for key, also in ALSO.items() if key in title for f in also]
        files = list(dict.fromkeys(f for file in files for f in (formula_of(file), file) if f))
        said = symbols(" ".join(map(comments, files)))
        for statement in (s for block in re.findall(r"^```math\n(.*?)^```", body, re.S | re.M) for s in statements(block)):
            formula = of_tex(statement)
            shown.append(formula)
            count += 1
            if "".join(formula).startswith(DERIVED):
                continue
            if not contains(said, formula):
                wrong.append(f"{title}: `{' '.join(formula)}` stands in none of {', '.join(str(f.relative_to(INCLUDE)) for f in files)}")
    everything = [token for formula in shown for token in formula + ["\n"]]
    indented = symbols("\n".join(re.findall(r"^ {4}.*$", (ROOT / "docs/formulas.md").read_text(), re.M)))
    number = 0
    for file, text in losses():
        number += 1
        if not contains(everything, symbols(text)) and not contains(indented, symbols(text)):
            wrong.append(f"{file.relative_to(INCLUDE)}: `{text}` does not stand in docs/formulas.md")
    failed = bool(wrong) or count < 40 or number < 20
    print(f"{'failed' if failed else 'passed'}: {count} displayed formulas of docs/formulas.md and {number} of the losses' headers are the same")
    print("".join(f"    {w}\n" for w in wrong), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
