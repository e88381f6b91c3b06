"""--lists: every bad row, group, neighbour and rank, against the rows themselves; and what a report says of its origin."""
import csv
import hashlib
import json
import math
import os
import random
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import support

DRAW = random.Random(11)
NAN = float("nan")


def unit(row):
    length = sum(x * x for x in row) ** 0.5
    return [x / length for x in row]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Lists(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        rows = [[DRAW.gauss(0, 1) for _ in range(10)] for _ in range(90)]
        for i in range(12):
            rows[40 + i] = [0.0] * 10
        rows[5], rows[60] = [NAN] * 10, [float("inf")] + [0.0] * 9
        rows[71], rows[72], rows[80] = rows[7], rows[7], rows[9]
        rows[73] = [x * 1.0001 + 1e-4 for x in rows[11]]
        self.x = support.save(self.path / "x.npy", rows)
        self.y = support.save(self.path / "y.npy", [[x + DRAW.gauss(0, 0.8) for x in row] if i not in (5, 60) else [1.0 * i] * 10 for i, row in enumerate(rows)])
        self.names = self.path / "n.tsv"
        self.names.write_text("name\n" + "".join(f"=n{i}\n" for i in range(90)))

    def tearDown(self):
        self.folder.cleanup()

    def run_here(self, *arguments):
        done = support.run(*arguments, cwd=self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def table(self, name, folder="lists"):
        with open(self.path / folder / name, newline="") as file:
            return list(csv.DictReader(file))

    def test_every_list(self):
        self.run_here("--image", "x.npy", "--text", "y.npy", "--names", "n.tsv:name", "--lists", "lists", "--json", "o.json")
        document = json.loads((self.path / "o.json").read_text())
        bad = [(r["modality"], int(r["row"]), r["what"]) for r in self.table("bad_rows.csv")]
        self.assertEqual([b for b in bad if b[0] == "image"], [("image", 5, "not finite"), ("image", 60, "not finite")] + [("image", 40 + i, "zero") for i in range(12)])
        self.assertEqual(self.table("bad_rows.csv")[0]["name"], "'=n5")
        groups = {}
        for r in self.table("duplicates.csv"):
            groups.setdefault((r["modality"], r["group"]), []).append(int(r["row"]))
        self.assertEqual(sorted(rows for (m, _), rows in groups.items() if m == "image"), [[7, 71, 72], [9, 80]])
        near = {}
        for r in self.table("near_duplicates.csv"):
            near.setdefault((r["modality"], r["group"]), []).append(int(r["row"]))
        self.assertEqual([rows for (m, _), rows in near.items() if m == "image"], [[11, 73]])
        rows = {i: unit(r) for i, r in enumerate(support.load(self.x)) if i not in (5, 60) and any(r)}
        analysed = {int(r["row"]) for r in self.table("neighbours_image.csv")}
        self.assertEqual(len(analysed), document["modalities"][0]["analysed"])
        for i in list(analysed)[::7]:
            mine = [r for r in self.table("neighbours_image.csv") if int(r["row"]) == i]
            best = sorted((dot(rows[i], rows[j]) for j in analysed if j != i), reverse=True)[:len(mine)]
            self.assertEqual(len(mine), 10)
            for r, cosine in zip(mine, best):
                self.assertAlmostEqual(float(r["cosine"]), cosine, places=5)
                self.assertAlmostEqual(dot(rows[i], rows[int(r["neighbour"])]), cosine, places=5)
                self.assertEqual(r["neighbour_name"], f"'=n{r['neighbour']}")
        ranks = [int(r["rank"]) for r in self.table("ranks_image-text.csv")]
        self.assertAlmostEqual(sum(r == 1 for r in ranks) / len(ranks), support.value(document, "recall1", "image-text"), places=12)
        self.assertAlmostEqual(sum(1 / r for r in ranks) / len(ranks), support.value(document, "mrr", "image-text"), places=12)

    def test_copies_do_not_hide_near_duplicates(self):
        rows = [[DRAW.gauss(0, 1) for _ in range(10)] for _ in range(120)]
        for i in range(20, 45):  # more copies than the 10 nearest hold
            rows[i] = list(rows[20])
        rows[100] = [x * 1.0001 + 1e-4 for x in rows[20]]
        rows[101] = [x + 1e-4 for x in rows[100]]
        rows[3] = [x * 1.0001 + 1e-4 for x in rows[2]]
        for more in ((), ("--precision", "single")):
            x = support.save(self.path / "copies.npy", rows)
            self.run_here("--image", x, "--lists", "copies", *more)
            groups = {}
            for r in self.table("near_duplicates.csv", "copies"):
                groups.setdefault(r["group"], []).append(int(r["row"]))
            self.assertEqual(sorted(groups.values()), [[2, 3], [*range(20, 45), 100, 101]])

    def test_outliers_representatives_and_suspects(self):
        centres = [[DRAW.gauss(0, 4) for _ in range(10)] for _ in range(3)]
        rows = [[c + DRAW.gauss(0, 0.4) for c in centres[i % 3]] for i in range(90)]
        rows[17] = [-4 * c for c in centres[1]]
        labels = [f"=k{i % 3}" for i in range(90)]
        labels[31], labels[50], labels[60] = "=k0", "=k1", ""
        x = support.save(self.path / "clusters.npy", rows)
        (self.path / "l.tsv").write_text("kind\n" + "".join(f"{t}\n" for t in labels))
        self.run_here("--image", x, "--labels", "l.tsv:kind", "--lists", "c", "--json", "c.json")
        document = json.loads((self.path / "c.json").read_text())["modalities"][0]
        unit_rows = [unit(r) for r in support.load(x)]
        outliers = self.table("outliers_image.csv", "c")
        self.assertEqual([int(r["row"]) for r in outliers[:10]], [o["id"] for o in document["outliers"]])
        self.assertEqual((len(outliers), outliers[0]["row"]), (90, "17"))
        for r in outliers[::11]:
            i = int(r["row"])
            best = sorted((dot(unit_rows[i], unit_rows[j]) for j in range(90) if j != i), reverse=True)[:10]
            self.assertAlmostEqual(float(r["mean_cosine_of_nearest"]), sum(best) / 10, places=5)
        picks = self.table("representative_image.csv", "c")
        self.assertEqual([int(r["row"]) for r in picks[:10]], [o["id"] for o in document["representative"]])
        self.assertEqual({int(r["row"]) % 3 for r in picks[:12]}, {0, 1, 2})
        for r in picks[:5]:
            i = int(r["row"])
            density = sum(math.exp(4 * dot(unit_rows[i], unit_rows[j]) - 4) for j in range(90) if j != i) / 89
            self.assertAlmostEqual(float(r["density"]), density, places=5)
        suspects = self.table("suspects_image.csv", "c")
        self.assertEqual({int(r["row"]) for r in suspects}, {31, 50} | ({17} & {int(r["row"]) for r in suspects}))
        self.assertTrue(all(r["label"].startswith("'=k") and float(r["share_of_other"]) > 0.5 for r in suspects))

    def test_a_folder_for_changes_is_looked_at_before_the_work(self):
        self.run_here("--image", "x.npy", "--text", "y.npy", "--json", "a.json")
        (self.path / "file").write_text("x")
        for folder, status in (("file", 2), ("no/such", 2)):
            done = support.run("--compare", "a.json", "a.json", "--lists", folder, "--json", "c.json", cwd=self.path)
            self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
            self.assertFalse((self.path / "c.json").exists())
        os.mkdir(self.path / "d")
        (self.path / "d/changes_image-text_1.csv").symlink_to(self.path / "a.json")
        done = support.run("--compare", "a.json", "a.json", "--lists", "d", cwd=self.path)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("is an input", done.stderr)

    def test_gains_and_losses(self):
        self.run_here("--image", "x.npy", "--text", "y.npy", "--json", "a.json")
        shift = support.save(self.path / "z.npy", [row if i % 3 else [x + 2 for x in row] for i, row in enumerate(support.load(self.y))])
        self.run_here("--image", "x.npy", "--text", shift, "--json", "b.json")
        self.run_here("--compare", "a.json", "b.json", "--lists", "changes")
        before, after = (json.loads((self.path / f"{k}.json").read_text()) for k in "ab")
        rows = self.table("changes_image-text_1.csv", "changes")
        gains = [int(r["gain"]) for r in rows]
        self.assertEqual(gains, sorted(gains))
        self.assertTrue(gains[0] < 0)
        for r in rows:
            self.assertEqual(int(r["rank_before"]) - int(r["rank_after"]), int(r["gain"]))
        for document, column in ((before, "rank_before"), (after, "rank_after")):
            self.assertAlmostEqual(sum(int(r[column]) == 1 for r in rows) / len(rows), support.value(document, "recall1", "image-text"), places=12)

    def test_where_a_report_comes_from(self):
        elsewhere = tempfile.TemporaryDirectory()
        far = support.save(Path(elsewhere.name) / "far away.npy", support.load(self.y))
        self.run_here("--image", self.x, f"--modality=far={far}", "--names", f"{self.names}:name", "--report", "r.html", "--json", self.path / "o.json", "--temperature", "0.05")
        document = json.loads((self.path / "o.json").read_text())
        run = document["run"]
        self.assertRegex(run["date"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(run["command"], "spheremix-analyze --image x.npy '--modality=far=far away.npy' --names n.tsv:name --report r.html --json o.json --temperature 0.05")
        for name, path in (("x.npy", self.x), ("far away.npy", far), ("n.tsv", self.names)):
            found = [f for f in run["files"] if f["name"] == name]
            self.assertEqual(found, [{"name": name, "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}])
        self.assertIn("temperature", document["settings"]["given"])
        self.assertNotIn("seed", document["settings"]["given"])
        page = (self.path / "r.html").read_text()
        for text in (page, (self.path / "o.json").read_text()):
            self.assertNotIn(str(self.path), text)
            self.assertNotIn(elsewhere.name, text)
        elsewhere.cleanup()

    def test_sha256_at_every_length(self):
        for size in (0, 55, 56, 63, 64, 65, 119, 120):
            file = self.path / "w.tsv"
            file.write_bytes(b"n\n" * 90 + b"\n" * size)  # blank lines at the end are no values
            document, _ = support.report("--image", self.x, "--names", file)
            self.assertEqual([f["sha256"] for f in document["run"]["files"] if f["name"] == "w.tsv"], [hashlib.sha256(file.read_bytes()).hexdigest()])


class Library(unittest.TestCase):
    """The analysis without command line and page, tests/analyze/library.cpp."""

    def test_rows_in_memory_give_the_same_figures(self):
        program = Path(support.PROGRAM).with_name("spheremix-analysis-library")
        if not program.exists():
            self.skipTest("spheremix-analysis-library is not built")
        done = subprocess.run([program, support.IMAGE, support.TEXT], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        document, _ = support.report("--image", support.IMAGE, "--text", support.TEXT)
        expected = {(m["scope"], m["key"]): m["value"] for m in document["metrics"]}
        found = {(line.split()[0], line.split()[1]): json.loads(line.split()[2]) for line in done.stdout.splitlines()}
        self.assertEqual(found, expected)

    def test_only_the_program_prints_and_parses(self):
        folder = support.ROOT / "examples/analyze"
        for file in [*folder.glob("*.hpp"), *folder.glob("*.cpp")]:
            if file.name in ("main.cpp", "console.hpp"):
                continue
            self.assertNotRegex(file.read_text(), r"CLI/CLI|<iostream>|std::c(out|err)\b|[^n]printf\((stderr|stdout|\")|std::puts", file.name)


class Findings(unittest.TestCase):
    """Several modalities: the same fact told once, in order of consequence."""

    def test_five_modalities(self):
        with tempfile.TemporaryDirectory() as folder:
            base = [[DRAW.gauss(0, 1) for _ in range(12)] for _ in range(70)]
            files = []
            for m in range(5):
                rows = [[x + DRAW.gauss(0, 0.3) for x in row] for row in base]
                for i in (3, 8, 9, 20, 21, 40, 41):
                    rows[i] = [0.0] * 12
                rows[10] = rows[11]
                if m == 4:
                    DRAW.shuffle(rows)
                    rows[3] = rows[8] = [0.0] * 12
                files += ["--modality", f"m{m}={support.save(Path(folder) / f'{m}.npy', rows)}"]
            document, said = support.report(*files[:8])
            zero = [f for f in document["findings"] if "zero" in f["keys"]]
            self.assertEqual(len(zero), 1)
            self.assertIn("The same 7 rows of all 4 modalities are all zero", zero[0]["text"])
            self.assertIn("first: rows 3, 8, 9, 20, 21", zero[0]["text"])
            document, said = support.report(*files)
            findings = document["findings"]
            lines = said.splitlines()
            self.assertLessEqual(len(lines), 8)
            levels = [f["level"] for f in findings]
            self.assertEqual(levels, sorted(levels))  # fault before look
            self.assertEqual(findings[0]["kind"], "pairs")
            told = [k for f in findings for k in f["keys"]]
            self.assertEqual(len(told), len(set(told)), "a figure is told twice")
            self.assertTrue(all(f["kind"] != "repeats" for f in findings[:2]), "a repeated row outranks retrieval")


if __name__ == "__main__":
    support.main()
