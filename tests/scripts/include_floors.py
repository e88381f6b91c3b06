#!/usr/bin/env python3
"""No upward include: a header sees lower floors or its own (docs/design.md, "Folders").

  include_floors.py [include folder]   checks, one line a check, exit status 1 on a failure
  include_floors.py --self-test        plants one fault of each kind in a copy: each must be found
"""
import re
import shutil
import sys
import tempfile
from pathlib import Path

FLOOR = {"core": 0, "math": 1, "io": 1, "formula": 2, "pairwise": 3, "sphere": 4, "mixup": 5, "metrics": 6, "losses": 7,
         "gpu": 8, "mpi": 8, "nccl": 9}
SEES_ONLY = {"io": {"core", "io"}, "formula": {"core", "math", "formula"}, "gpu": {"core", "math", "formula", "gpu"},
             "mpi": {"core", "mpi"}, "nccl": {"core", "gpu", "nccl"}}
# Headers that a program names itself: whoever includes spheremix.hpp does not pay for them.
OPT_IN = re.compile(r"bf16")
ROOT = Path(__file__).resolve().parents[2] / "include"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def includes(path):
    return INCLUDE.findall(path.read_text())


def headers(root):
    return sorted(p for p in (root / "spheremix").rglob("*") if p.suffix in (".hpp", ".cuh", ".inc"))


def reach(root, start):
    """Every include, own and foreign, that the header `start` pulls in."""
    seen, todo = set(), [start]
    while todo:
        for _, name in includes(root / todo.pop()):
            if name not in seen:
                seen.add(name)
                if (root / name).exists():
                    todo.append(name)
    return seen


def losses_named(root):
    """Engines know no loss: (header, identifier) of code in pairwise/ and gpu/pairwise/ that has a loss' name in it."""
    stems = {p.stem for p in (root / "spheremix/losses").glob("*.hpp")} & {p.stem for p in (root / "spheremix/formula").glob("*.hpp")}
    loss = re.compile(r"(?:^|_)(?:" + "|".join(sorted(stems - {"targets"})) + r")(?:_|$)")
    for path in headers(root):
        name = path.relative_to(root).as_posix()
        if "/pairwise/" in name:
            code = re.sub(r"//[^\n]*", "", INCLUDE.sub("", path.read_text()))
            for word in sorted(set(re.findall(r"[A-Za-z_]\w*", code))):
                if loss.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()):
                    yield name, word


def declared_twice(root):
    """Options, results and enums of one name in a header of the CPU's and in one of the GPU's: (name, header by side)."""
    declared = {}
    for path in headers(root):
        side = "gpu" if path.suffix == ".cuh" else "cpu"
        for name in re.findall(r"^(?:struct|enum class) (\w+(?:Options|Gradient)|(?<=enum class )\w+)\b(?=[^;(]*\{)", path.read_text(), re.M):
            declared.setdefault(name, {}).setdefault(side, path.relative_to(root).as_posix())
    return [(name, sides) for name, sides in declared.items() if len(sides) > 1]


def faults(root):
    """(check, where) of everything that is wrong."""
    for name, word in losses_named(root):
        yield "engine", f"{name} knows of a loss: {word}"
    for path in headers(root):
        name = path.relative_to(root).as_posix()
        parts = name.split("/")
        if len(parts) < 3:
            continue
        folder = parts[1]
        if folder not in FLOOR:
            yield "floor", f"{name}: folder {folder}/ has no floor"
            continue
        for quote, target in includes(path):
            if not target.startswith("spheremix/"):
                if folder in ("math", "formula") and re.match(r"Eigen/|cuda|cub/|thrust/", target):
                    yield "device-clean", f"{name} includes {target}"
                continue
            if quote == "<":
                yield "form", f'{name} includes <{target}>: own headers are included as "{target}"'
            if not (root / target).exists():
                yield "exists", f"{name} includes {target}, which does not exist"
            other = target.split("/")[1]
            if FLOOR.get(other, 99) > FLOOR[folder] or other not in SEES_ONLY.get(folder, FLOOR):
                yield "upward", f"{name} includes {target}"
        if folder in ("math", "formula") or (folder == "gpu" and path.suffix == ".cuh"):
            for target in sorted(reach(root, name)):
                if target.startswith("Eigen/") or target == "spheremix/core/eigen.hpp":
                    yield "device-clean", f"{name} reaches {target}"
    for name, sides in declared_twice(root):
        yield "twice", f"{name} stands in {sides['cpu']} and in {sides['gpu']}"
    for _, target in includes(root / "spheremix/spheremix.hpp"):
        if "/detail/" in target or target.startswith("spheremix/pairwise/"):
            yield "private", f"spheremix.hpp names {target}"
    everything = reach(root, "spheremix/spheremix.hpp")
    for path in headers(root):
        name = path.relative_to(root).as_posix()
        if OPT_IN.search(path.name):
            if name in everything:
                yield "opt-in", f"spheremix.hpp reaches {name}"
        elif path.suffix == ".hpp" and FLOOR.get(name.split("/")[1], 9) < 8 and name not in everything:
            yield "complete", f"spheremix.hpp does not reach {name}"


def pictured(drawing, design):
    """What the picture of the folders and the table of docs/design.md say that the floors do not."""
    at = {name: (float(x), float(y)) for x, y, name in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>(\w+)/<', drawing)}
    table = {name: int(floor) for floor, name in re.findall(r"^\| (\d+) \| `(\w+)/` \|", design, re.M)}
    for name in sorted(FLOOR.keys() ^ at.keys()):
        yield "picture", f"{name}/ is in the {'floors' if name in FLOOR else 'picture'} alone"
    for name in sorted(FLOOR.keys() | table.keys()):
        if FLOOR.get(name) != table.get(name):
            yield "picture", f"{name}/ is on floor {FLOOR.get(name)}, in the table on {table.get(name)}"
    stack = [name for name in at if FLOOR.get(name, 99) < 8]
    for upper in stack:
        for lower in SEES_ONLY.get(upper, stack):
            if lower in at and FLOOR[lower] < FLOOR[upper] and at[lower][1] <= at[upper][1]:
                yield "picture", f"{lower}/ is not drawn below {upper}/"


def pictures():
    docs = ROOT.parent / "docs"
    yield from pictured((docs / "images/folders.svg").read_text(), (docs / "design.md").read_text())


CHECKS = {"floor": "every folder has a floor",
          "form": "own headers are included with quotes and their full path",
          "exists": "every header included exists",
          "upward": "no header includes an upper floor",
          "device-clean": "math/, formula/ and gpu/*.cuh reach no Eigen",
          "complete": "spheremix.hpp reaches every CPU header but those to be named",
          "private": "spheremix.hpp names no header that is nobody's to include",
          "twice": "no options, gradients or enum of one name for each machine",
          "engine": "pairwise/ and gpu/pairwise/ name no loss",
          "opt-in": "spheremix.hpp reaches no header to be named",
          "picture": "docs/images/folders.svg and the table of docs/design.md show the floors"}


def report(found):
    for check, title in CHECKS.items():
        lines = [where for kind, where in found if kind == check]
        print(f"{'failed' if lines else 'passed'}: {title}")
        for line in lines:
            print("   ", line)
    return 1 if found else 0


def self_test():
    """Each planted fault adds a finding of its own kind to those of the unchanged tree."""
    plants = {"sphere above math": ("math/planted.hpp", '#include "spheremix/sphere/planted_target.hpp"', "upward"),
              "losses above metrics": ("metrics/planted.hpp", '#include "spheremix/losses/planted_target.hpp"', "upward"),
              "math beside io": ("io/planted.hpp", '#include "spheremix/math/planted_target.hpp"', "upward"),
              "pairwise under gpu": ("gpu/planted.cuh", '#include "spheremix/pairwise/planted_target.hpp"', "upward"),
              "Eigen in math": ("math/planted.hpp", "#include <Eigen/Core>", "device-clean"),
              "Eigen behind a core header": ("gpu/planted.cuh", '#include "spheremix/core/eigen.hpp"', "device-clean"),
              "losses under mpi": ("mpi/planted.hpp", '#include "spheremix/losses/planted_target.hpp"', "upward"),
              "a folder of no floor": ("other/planted.hpp", "", "floor"),
              "angle brackets": ("sphere/planted.hpp", "#include <spheremix/core/view.hpp>", "form"),
              "a header that is not there": ("sphere/planted.hpp", '#include "spheremix/core/absent.hpp"', "exists"),
              "a header left out": ("sphere/planted.hpp", "", "complete"),
              "a private header named": ("spheremix.hpp", '#include "spheremix/losses/detail/planted.hpp"', "private"),
              "options declared again": ("gpu/losses/planted.cuh", "struct ClipOptions {\n};", "twice"),
              "a result declared again": ("gpu/losses/planted.cuh", "struct SiglipGradient {\n};", "twice"),
              "an enum declared again": ("gpu/losses/planted.cuh", "enum class Reduction { sum };", "twice"),
              "a loss in the engine": ("pairwise/planted.hpp", "inline constexpr int kClipOfV = 0;", "engine"),
              "a loss in the device's": ("gpu/pairwise/planted.cuh", "struct SupConLine {};", "engine"),
              "bf16 for everybody": ("spheremix.hpp", '#include "spheremix/losses/planted_bf16.hpp"', "opt-in")}
    status = 0
    for title, (name, line, kind) in plants.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "include"
            shutil.copytree(ROOT, root)
            path = root / "spheremix" / name
            target = re.search(r"spheremix/(\w+/planted_\w+.hpp)", line)
            for new, text in ((path, line), *([(root / "spheremix" / target[1], "")] if target else [])):
                new.parent.mkdir(exist_ok=True)
                before = new.read_text() if new.exists() else "#pragma once\n"
                new.write_text(before + text + "\n")
            killed = any(k == kind and "planted" in where for k, where in faults(root))
        print(f"{'passed' if killed else 'failed'}: a planted fault is found: {title}")
        status |= not killed
    docs = ROOT.parent / "docs"
    drawing, design = (docs / "images/folders.svg").read_text(), (docs / "design.md").read_text()
    swapped = drawing.replace(">losses/<", ">?/<").replace(">core/<", ">losses/<").replace(">?/<", ">core/<")
    for title, wrong in {"two folders change places in the picture": (swapped, design), "a folder left out of it": (drawing.replace(">io/<", "><"), design),
                         "another floor in the table": (drawing, design.replace("| 3 | `pairwise/`", "| 4 | `pairwise/`"))}.items():
        killed = any(pictured(*wrong))
        print(f"{'passed' if killed else 'failed'}: a planted fault is found: {title}")
        status |= not killed
    return status


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        sys.exit(self_test())
    sys.exit(report(list(faults(Path(sys.argv[1]))) if len(sys.argv) > 1 else [*faults(ROOT), *pictures()]))
