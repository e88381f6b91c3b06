"""docs/options.md: every field of every options struct, from the headers.

    python docs/site/options.py            writes the page
    python docs/site/options.py --check    fails where the page is not what the headers say, or a field has no comment
"""
import difflib
import re
import sys

from headers import INCLUDE, ROOT, declarations, entries, head

PAGE = ROOT / "docs/options.md"
NAMED = re.compile(r"\w*Options(Of)?|MixLambdas")  # MixLambdas: an argument, given field by field as options are
TYPES = {"double": "number", "Index": "whole number", "int": "whole number", "std::size_t": "whole number", "bool": "`true` or `false`",
         "std::vector<Index>": "list of whole numbers", "Partners": "list of whole numbers", "std::vector<double>": "list of numbers",
         "std::optional<Targets>": "[targets](#targets)", "std::chrono::milliseconds": "milliseconds"}
GROUPS = {"Losses": "In the namespace `losses`.", "Mixing": "In the namespace `losses`.", "Metrics": "In the namespace `metrics`.",
          "Others": "In the namespaces that are named."}
TOP = """# Options

Options are given as `{.temperature = 0.1, .memory_budget = 1 << 24}`, in the order of the table: `losses::clip(x, y, {.temperature = 0.1})`.
Another order does not compile; what is left out has its default. In Python they are keywords of the same names and defaults, in any
order: `sx.losses.clip(x, y, temperature=0.1)`.

A list is a `std::vector`. Of an enum the table has the values: `.mining = losses::TripletMining::semi_hard`, in Python
`mining="semi_hard"`. `memory_budget` bounds all temporary memory of a call; one too small for the least that a call needs is an
[error](errors.md) that names both, and the GPU does not read it. What a letter in the last column stands for is in the formula
of the function, which its name links to. `docs/site/options.py` makes this page of the headers.
"""
FIELD = re.compile(r"((?:const )?[\w:]+(?:<[^;=]*>)?) (\w+(?: = [^;]*?|\{[^;]*?\})?(?:, \w+ = [^;,]*)*);(?:\s*///< (.*))?")


def fields(declaration):
    """(type, name, default, comment) of every field, in order."""
    body = declaration.text.split("{", 1)[1].rsplit("}", 1)[0]
    body = re.sub(r"^\s*///[^<].*\n.*\)(?: const)?;$", "", body, flags=re.M)  # functions
    found = []
    for line in filter(str.strip, body.splitlines()):
        match = FIELD.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{declaration.name}: a field of another form: {line.strip()}")
        kind, names, comment = match.groups()
        for one in re.split(r", (?=\w+ =)", names):
            name, default = re.fullmatch(r"(\w+)(?: = |)(.*)", one).groups()
            found.append((kind, name, default, comment or ""))
    return found


def plain_default(kind, default):
    if default in ("{}", "std::nullopt"):
        return "none" if "optional" in kind else "empty" if kind in TYPES else "`0`"
    default = default.split("::")[-1].replace("size_t(1)", "1")
    return f"`{default if 'vector' in kind else default.strip('{}')}`"


def read():
    """Structs by (namespace, name); names of enums with their values; (namespace, name) of a struct -> its name in the tables, its functions."""
    structs, enums, alias, users = {}, {}, {}, {}
    found = [d for path in sorted(INCLUDE.rglob("*.hpp")) for d in declarations(path)]
    for d in found:
        if d.kind == "struct" and NAMED.fullmatch(d.name) and (d.namespace, d.name) not in structs and fields(d):
            structs[d.namespace, d.name] = d
        elif d.kind == "enum":
            enums[d.name] = re.findall(r"(\w+)(?:,|\s*$)", re.sub(r"//.*", "", d.text.split("{", 1)[1].split("}")[0]), re.M)
        elif d.kind == "alias" and (of := re.search(r"= (\w+)<", d.text)) and NAMED.fullmatch(of.group(1)):
            alias[d.namespace, d.name] = of.group(1)
    for d in found:
        for name in re.findall(r"(\w+)(?:<[\w,. ]*>)?&", d.text) if d.kind in ("function", "struct") else ():
            said = users.setdefault((d.namespace, alias.get((d.namespace, name), name)), {})
            said.setdefault(name, {})[d.name.removesuffix("_with_gradient")] = True
    return structs, enums, users


def group_of(space, functions):
    if space not in ("losses", "metrics"):
        return "Others"
    return "Metrics" if space == "metrics" else "Mixing" if any("mix" in f for f in functions) else "Losses"


def page():
    """The page, its number of fields, and the fields without a comment."""
    structs, enums, users = read()
    anchors = {n: re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title, names, _ in reversed(list(entries())) for n in names}
    tables, count, silent = {g: [] for g in GROUPS}, 0, []
    for (space, name), d in sorted(structs.items()):
        used = users.get((space, name), {})
        group = group_of(space, [f for of in used.values() for f in of])
        prefix = f"{space}::" if group == "Others" else ""
        who = "; ".join(f"`{prefix}{n}`" + " of " + ", ".join(f"[`{f}`](formulas.md#{anchors[f]})" if f in anchors else f"`{f}`" for f in of)
                        for n, of in used.items())
        for kind, field, default, comment in fields(d):
            bare = re.sub(r"std::optional<(\w+)>", r"\1", kind)
            of = TYPES.get(kind) or (f"`{bare}`: " + ", ".join(f"`{v}`" for v in enums[bare]) if bare in enums else "number, or one a row")
            silent += [f"{name}: {field} has no comment"] * (not comment)
            comment = re.sub(r"([*|<\\])", r"\\\1", comment)
            tables[group].append(f"| {who} | `{field}` | {of} | {plain_default(kind, default)} | {comment} |")
            who, count = "", count + 1
    out = [TOP]
    for group, rows in tables.items():
        out.append(f"## {group}\n\n{GROUPS[group]}\n\n| struct | field | what it takes | default | meaning |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n")
    made = re.findall(r"^  ((?:ids|pairs|soft)\(.*?\))  +(.*)$", head((INCLUDE / "losses/targets.hpp").read_text().splitlines()), re.M)
    out.append("## Targets\n\nWhat `.exclude` takes, and `clip`, `info_nce` and `siglip` as an argument after Y: `losses::clip(x, y, "
               "losses::ids(a, b), {.temperature = 0.1})`\n([formula](formulas.md#targets-lossesids-pairs-soft-label_smoothing-exclude-row_weights)).\n\n"
               "| made by | meaning |\n|---|---|\n" + "\n".join(f"| `losses::{call}` | {said} |" for call, said in made) + "\n")
    return "\n".join(out), len(structs), count, silent


def main():
    text, structs, count, silent = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text)
        return 0
    shown = PAGE.read_text() if PAGE.exists() else ""
    wrong = silent + list(difflib.unified_diff(shown.splitlines(), text.splitlines(), "docs/options.md", "the headers", lineterm="", n=0))
    print(f"{'failed' if wrong else 'passed'}: docs/options.md has {count} fields of {structs} structs as the headers have them")
    print("".join(f"    {line}\n" for line in wrong), end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
