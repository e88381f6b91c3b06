"""Files as people have them: .npz, bfloat16, bytes and bits, shards, pipes, tables of every make. Right figures, or one sentence."""
import gzip  # noqa: F401 (zlib is what it needs)
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import support
from support import archive, npy

DRAW = random.Random(6)
half = lambda v: struct.unpack("<e", struct.pack("<e", v))[0]
top = lambda v: struct.unpack("<f", struct.pack("<I", struct.unpack("<I", struct.pack("<f", v))[0] & 0xFFFF0000))[0]
ROWS = [[top(half(DRAW.gauss(0.2, 1))) for _ in range(16)] for _ in range(60)]  # exact in f2 and in bf16
FLAT = [v for row in ROWS for v in row]


def bf16(values):
    return b"".join(struct.pack("<f", v)[2:] for v in values)


def plain(rows=ROWS, letter="f"):
    return struct.pack(f"<{len(rows) * len(rows[0])}{letter}", *(v for row in rows for v in row))


class Formats(support.Folder):
    def setUp(self):
        super().setUp()
        self.x = self.put("x.npy", npy("'<f4'", (60, 16), plain()))

    def figures(self, *arguments):
        return [(m["scope"], m["key"], m["value"]) for m in support.report(*arguments)[0]["metrics"]]

    def test_the_same_figures_from_every_file(self):
        expected = self.figures("--image", self.x)
        columns = [[ROWS[i][k] for i in range(60)] for k in range(16)]
        for k in range(3):
            self.put(f"emb-0000{k + 1}-of-00003.safetensors", support.safetensors({"emb": ("F32", [20, 16], plain(ROWS[20 * k:20 * k + 20])),
                                                                          "ids": ("I64", [20], bytes(160))}))
        files = {
            "stored npz": self.put("s.npz", archive({"arr_0.npy": self.x.read_bytes()}, zipfile.ZIP_STORED)),
            "deflated npz": self.put("z.npz", archive({"arr_0.npy": self.x.read_bytes()}, zipfile.ZIP_DEFLATED)),
            "one of two": f"{self.put('two.npz', archive({'a.npy': npy(repr('<f4'), (2, 2), bytes(16)), 'b.npy': self.x.read_bytes()}, zipfile.ZIP_DEFLATED))}:b",
            "bf16 as ml_dtypes saves it": self.put("v2.npy", npy("'<V2'", (60, 16), bf16(FLAT))),
            "bf16 by name": self.put("bf.npy", npy("'bfloat16'", (60, 16), bf16(FLAT))),
            "bf16 tensor": self.put("bf.safetensors", support.safetensors({"e": ("BF16", [60, 16], bf16(FLAT))})),
            "big-endian": self.put("big.npy", npy("'>f8'", (60, 16), struct.pack(">960d", *FLAT))),
            "Python 2": self.put("long.npy", npy("'<f4'", "(60L, 16L)", plain())),
            "ending in capitals": self.put("X.NPY", self.x.read_bytes()),
            "Fortran order": self.put("f.npy", npy("'<f4'", (60, 16), plain(columns), True)),
            "columns": f"{self.put('t.npy', npy(repr('<f4'), (16, 60), plain(columns)))}:T",
            "columns, Fortran order": f"{self.put('tf.npy', npy(repr('<f4'), (16, 60), plain(), True))}:T",
            "sharded tensor": str(self.path / "emb-*.safetensors") + ":emb",
            "tensor with a colon": f"{self.put('c.safetensors', support.safetensors({'a:b': ('F32', [60, 16], plain()), 'a': ('F32', [60, 16], plain(ROWS[::-1]))}))}:a:b",
        }
        for name, file in files.items():
            with self.subTest(name):
                self.assertEqual(self.figures("--image", file), expected)

    def test_standard_input_and_pipes(self):
        expected = self.figures("--image", self.x)
        shapes = {"npy": self.x.read_bytes(), "npz": archive({"x.npy": self.x.read_bytes()}, zipfile.ZIP_DEFLATED),
                  "safetensors": support.safetensors({"e": ("F32", [60, 16], plain())})}
        for name, content in shapes.items():
            for spec in ("-", "/dev/stdin"):
                with self.subTest((name, spec)):
                    out = self.path / "out.json"
                    done = subprocess.run([support.PROGRAM, "--image", spec, "--json", str(out)], input=content, capture_output=True)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual([(m["scope"], m["key"], m["value"]) for m in json.loads(out.read_text())["metrics"]], expected)
        done = subprocess.run([support.PROGRAM, "--image", "-"], input=b"no such thing", capture_output=True, text=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"speak for none of", done.stderr)
        done = subprocess.run([support.PROGRAM, "--image", "-", "--text", "-"], input=self.x.read_bytes(), capture_output=True)
        self.assertEqual((done.returncode, b"standard input can be read once" in done.stderr), (2, True), done.stderr)

    def test_bytes_and_bits(self):
        bytes_ = [[DRAW.randrange(-128, 128) for _ in range(16)] for _ in range(60)]
        raw = b"".join(struct.pack("16b", *row) for row in bytes_)
        expected = self.figures("--image", self.put("w.npy", npy("'<f4'", (60, 16), plain(bytes_))))
        self.assertEqual(self.figures("--image", self.put("i1.npy", npy("'|i1'", (60, 16), raw))), expected)
        self.assertEqual(self.figures("--image", self.put("i1.safetensors", support.safetensors({"e": ("I8", [60, 16], raw)}))), expected)
        bits = [[1 if v > 0 else -1 for v in row] for row in ROWS]
        packed = bytes(sum((row[8 * b + k] > 0) << (7 - k) for k in range(8)) for row in bits for b in range(2))
        expected = self.figures("--image", self.put("pm.npy", npy("'<f4'", (60, 16), plain(bits))))
        u1 = self.put("u1.npy", npy("'|u1'", (60, 2), packed))
        self.assertEqual(self.figures("--image", f"{u1}:bits"), expected)
        signed = self.put("b1.npy", npy("'|i1'", (60, 2), bytes(b ^ 0x80 for b in packed)))
        self.assertEqual(self.figures("--image", f"{signed}:bits"), expected)
        done = support.run("--image", u1)
        self.assertEqual(done.returncode, 2)
        self.assertIn("u1.npy:bits where each is 8 packed dimensions", done.stderr)

    def test_arrow_where_the_program_has_it(self):
        program = Path(support.PROGRAM).read_bytes()
        if b"built without Arrow" in program:
            self.put("x.parquet", b"PAR1" + bytes(40))
            done = support.run("--image", self.path / "x.parquet")
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, "built without Arrow; in Python: .*numpy.save")
            self.skipTest("the program was built without Arrow")
        python = os.environ.get("SPHEREMIX_ARROW_PYTHON", sys.executable)
        make = """
import sys, struct, pyarrow as pa, pyarrow.parquet as pq, pyarrow.feather as fe
out, n, d = sys.argv[1], 60, 16
flat = list(struct.unpack("<960f", open(out + "/x.npy", "rb").read()[-3840:]))
rows = [flat[d * i:d * i + d] for i in range(n)]
names = [None if i % 7 == 0 else f"n{i}" for i in range(n)]
for kind, t in (("fixed", pa.list_(pa.float32(), d)), ("list", pa.list_(pa.float32())), ("large", pa.large_list(pa.float64()))):
    table = pa.table({"id": list(range(n)), "name": names, "emb": pa.array(rows, t)})
    pq.write_table(table, f"{out}/{kind}.parquet", row_group_size=17)
    fe.write_feather(table, f"{out}/{kind}.arrow", compression="zstd", chunksize=23)
bad = pa.table({"emb": pa.array(rows[:-1] + [None], pa.list_(pa.float32()))}); pq.write_table(bad, out + "/null.parquet")
bad = pa.table({"emb": pa.array(rows[:-1] + [[1.0]], pa.list_(pa.float32()))}); pq.write_table(bad, out + "/ragged.parquet")
bad = pa.table({"a": [1], "b": ["x"]}); pq.write_table(bad, out + "/none.parquet")
"""
        done = subprocess.run([python, "-c", make, str(self.path)], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest("pyarrow is not installed for " + python)
        expected = self.figures("--image", self.x)
        for kind in ("fixed", "list", "large"):
            for ending in ("parquet", "arrow"):
                for column in ("", ":emb"):
                    with self.subTest((kind, ending, column)):
                        self.assertEqual(self.figures("--image", f"{self.path / kind}.{ending}{column}"), expected)
        document, _ = support.report("--image", self.path / "fixed.parquet", "--labels", f"{self.path}/fixed.parquet:name")
        self.assertEqual({v.get("label") for v in document["items"].values()} - {f"n{i}" for i in range(60)} - {None, ""}, set())
        out = self.path / "o.json"
        piped = subprocess.run([support.PROGRAM, "--image", "-:emb", "--json", str(out)], input=(self.path / "list.parquet").read_bytes(), capture_output=True)
        self.assertEqual(piped.returncode, 0, piped.stderr)
        cut = self.put("cut.parquet", (self.path / "list.parquet").read_bytes()[:-100])
        for spec, part in ((self.path / "null.parquet", "row 59 is null"), (self.path / "ragged.parquet", "row 59 has 1 numbers"),
                           (self.path / "none.parquet", "0 columns of lists of numbers among a, b"), (f"{self.path}/fixed.parquet:emp", 'no column "emp"'),
                           (f"{self.path}/fixed.parquet:id", "where lists of numbers"), (cut, "cut.parquet")):
            done = support.run("--image", spec)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(part, done.stderr)

    def test_one_sentence_for_what_cannot_be_read(self):
        stored = archive({"arr_0.npy": self.x.read_bytes()}, zipfile.ZIP_DEFLATED)
        middle = stored.index(b"PK\x01\x02")
        cases = [
            (self.put("one_d.npy", npy("'<f4'", "(128,)", plain([[1.0] * 128]))), "x.reshape(1, -1)"),
            (self.put("zero_d.npy", npy("'<f4'", "()", plain([[1.0]]))), "has 0 dimensions"),
            (self.put("three.npy", npy("'<f4'", (60, 1, 16), plain())), "has 3 dimensions, shape (60, 1, 16)"),
            (self.put("f1.npy", npy("'<f1'", (60, 16), bytes(960))), "dtype"),
            (self.put("i4.npy", npy("'<i4'", (60, 16), bytes(3840))), "holds whole numbers"),
            (self.put("objects.npy", npy("'|O'", (60, 16), b"\x80\x04")), "Python objects"),
            (self.put("structured.npy", npy("[('id', '<i8')]", "(60,)", bytes(480))), "structured"),
            (self.put("pickled.npy", b"\x80\x04\x95"), "is not an .npy file"),
            (self.put("x.pkl", b"\x80\x04\x95"), "pickles are never loaded"),
            (self.put("x.pt", b"PK"), "torch.load"),
            (self.put("x.dat", b"PK"), "ends with none of"),
            (self.put("empty.npy", b""), "is not an .npy file"),
            (self.put("short.npy", b"\x93NUMPY\x01\x00"), "cut off"),
            (self.put("lies.npy", b"\x93NUMPY\x01\x00\xff\xffx"), "cut off"),
            (self.put("huge.npy", npy("'<f4'", (2**62, 2**62), b"")), "2^63"),
            (self.put("no_zip.npz", b"PK\x03\x04" + bytes(100)), "directory is missing"),
            (self.put("cut.npz", stored[:-30]), "cut"),
            (self.put("bent.npz", stored[:200] + b"\x00\xff" * 20 + stored[240:]), "damaged"),
            (self.put("crc.npz", stored[:middle + 16] + bytes(4) + stored[middle + 20:]), '"arr_0.npy" is damaged'),
            (self.put("far.npz", stored[:middle + 42] + b"\xf0\xff\xff\x7f" + stored[middle + 46:]), "damaged"),
            (self.put("two.npz", archive({"a.npy": b"", "b.npy": b""}, zipfile.ZIP_STORED)), "holds 2 arrays (a, b)"),
            (f"{self.put('named.npz', stored)}:emb", 'has no array "emb"; it holds arr_0'),
            (self.put("words.npz", archive({"a.txt": "words"}, zipfile.ZIP_STORED)), "is not an .npy file"),
            (f"{self.x}:emb", "only T, bits or numbers"),
            (f"{self.x}:bits", "packed bits are u1 or i1"),
            (self.put("v3.safetensors", support.safetensors({"e": ("F32", [60, 1, 16], plain())})), "3 dimensions"),
            (self.put("f8.safetensors", support.safetensors({"e": ("F8_E4M3", [60, 16], bytes(960))})), "is of F8_E4M3"),
            (self.put("be.fvecs", b"".join(struct.pack(">i", 16) + plain([row]) for row in ROWS)), "not an .fvecs file"),
            (self.put("int64.fbin", struct.pack("<qq", 60, 16) + plain()), "bytes of data where 60 x 0"),
            (self.put("cut.fbin", struct.pack("<II", 1000, 16) + plain()), "bytes of data where 1000 x 16"),
        ]
        for file, part in cases:
            with self.subTest(str(file)):
                done = support.run("--image", file)
                self.assertEqual(done.returncode, 2, done.stderr)
                said = [line for line in done.stderr.splitlines() if line.startswith("spheremix-analyze: ")]
                self.assertEqual(len(said), 1, done.stderr)
                self.assertIn(part, said[0])

    def test_fewer_rows_than_columns_are_asked_about(self):
        wide = self.put("wide.npy", npy("'<f4'", (16, 60), plain([[ROWS[i][k] for i in range(60)] for k in range(16)])))
        document, said = support.report("--image", wide)
        self.assertIn("16 rows of 60 numbers", said)
        self.assertIn("wide.npy:T", said)
        self.assertNotIn(":T", support.report("--image", self.x)[1])

    def test_an_fbin_that_lies_the_other_way(self):
        expected = self.figures("--image", self.x)
        columns = b"".join(struct.pack("<60f", *(row[k] for row in ROWS)) for k in range(16))
        turned, swapped = self.put("t.fbin", struct.pack("<II", 16, 60) + columns), self.put("s.fbin", struct.pack("<II", 16, 60) + plain())
        self.assertEqual(self.figures("--image", f"{turned}:T"), expected)
        self.assertEqual(self.figures("--image", f"{swapped}:swapped"), expected)
        document, said = support.report("--image", swapped)
        asked = [f["text"] for f in document["findings"] if f["kind"] == "shape"]
        self.assertEqual(len(asked), 1)
        self.assertIn("16 rows of 60 numbers", asked[0])
        self.assertIn("s.fbin:T; where the header has its two numbers the wrong way round, as s.fbin:swapped", asked[0])
        self.assertEqual(document["findings"][0]["kind"], "shape")
        done = support.run("--image", f"{swapped}:bits")
        self.assertEqual(done.returncode, 2)
        self.assertIn("only T or swapped can stand", done.stderr)
        for name, content, advice in (("w.fvecs", b"".join(struct.pack("<i", 60) + struct.pack("<60f", *(row[k] for row in ROWS)) for k in range(16)), "save w.fvecs the other way round"),
                                      ("w.npz", archive({"e.npy": npy("'<f4'", (16, 60), columns)}, zipfile.ZIP_STORED), "w.npz:T")):
            self.assertIn(advice, str(support.report("--image", self.put(name, content))[0]["findings"][0]["text"]))

    def test_a_file_that_changes_while_it_is_read(self):
        rows = [[((i * 7919 + k * 104729) % 1000) / 1000 - 0.4 for k in range(64)] for i in range(3000)]
        for change in ("cut", "grown", "replaced", "gone"):
            with self.subTest(change):
                file = support.save(self.path / "big.npy", rows)
                os.mkfifo(self.path / "names")
                program = subprocess.Popen([support.PROGRAM, "--image", str(file), "--names", str(self.path / "names"), "--json", str(self.path / "o.json")],
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                with open(self.path / "names", "w") as names:  # the header has been read, the rows have not
                    if change == "cut":
                        os.truncate(file, 100000)
                    elif change == "grown":
                        with open(file, "ab") as more:
                            more.write(b"more")
                    elif change == "replaced":
                        os.rename(support.save(self.path / "other.npy", rows), file)
                    else:
                        os.remove(file)
                    names.write("a\n" * 3000)
                _, said = program.communicate(timeout=60)
                self.assertEqual(program.returncode, 2, said)
                self.assertRegex(said, r"spheremix-analyze: .*big.npy: (changed while it was read|cannot be opened any more)")
                self.assertFalse((self.path / "o.json").exists())
                os.remove(self.path / "names")

    def test_modalities_of_different_widths(self):
        other = [[sum(row[j] * ((j * k) % 5 - 2) for j in range(16)) for k in range(9)] for row in ROWS]
        y = support.save(self.path / "y.npy", other)
        document, said = support.report("--image", self.x, "--text", y, "--report", self.path / "r.html")
        keys = {m["key"] for m in document["metrics"] if m["scope"] == "image-text"}
        self.assertIn("cka", keys)
        self.assertNotIn("gap", keys)
        alone = dict(((s, k), v) for s, k, v in self.figures("--modality", f"text={y}"))
        for m in document["metrics"]:
            if m["scope"] == "text":
                self.assertEqual(m["value"], alone["text", m["key"]])
        unit = lambda row: [v / sum(w * w for w in row) ** 0.5 for v in row]
        def centred(rows):
            rows = [unit(r) for r in rows]
            mean = [sum(c) / len(rows) for c in zip(*rows)]
            return [[v - m for v, m in zip(r, mean)] for r in rows]
        a, b = centred(ROWS), centred(support.load(y))
        dot = lambda p, q: sum(u * v for u, v in zip(p, q))
        hsic = lambda p, q: sum(dot(p[i], p[j]) * dot(q[i], q[j]) for i in range(60) for j in range(60))
        self.assertAlmostEqual(support.value(document, "cka", "image-text"), hsic(a, b) / (hsic(a, a) * hsic(b, b)) ** 0.5, places=12)
        near = lambda rows, i: {j for _, j in sorted((-dot(unit(rows[i]), unit(rows[j])), j) for j in range(60) if j != i)[:10]}
        rows_b = support.load(y)
        overlap = sum(len(near(ROWS, i) & near(rows_b, i)) for i in range(60)) / 600
        self.assertAlmostEqual(support.value(document, "neighbour_overlap", "image-text"), overlap, places=12)


class Tables(support.Folder):
    """The same labels from every table, or one sentence that names the cause."""

    def setUp(self):
        super().setUp()
        self.x = support.save(self.path / "x.npy", [[DRAW.gauss(0, 1) for _ in range(8)] for _ in range(40)])
        self.rows = [(f"g{i % 4}", f"item {i}") for i in range(40)]
        self.text = "group\tname\n" + "".join(f"{a}\t{b}\n" for a, b in self.rows)

    def labels(self, *arguments):
        document, _ = support.report("--image", self.x, *arguments)
        return {c["label"]: c["rows"] for c in document["modalities"][0].get("classes", [])}, document

    def test_tables_of_every_make(self):
        comma = self.text.replace("\t", ",")
        bare = self.text.split("\n", 1)[1]
        tables = {
            "plain.tsv": self.text, "bom.tsv": b"\xef\xbb\xbf" + self.text.encode(), "utf16.tsv": self.text.encode("utf-16"),
            "utf16be.tsv": b"\xfe\xff" + self.text.encode("utf-16-be"), "mac.tsv": self.text.replace("\n", "\r"),
            "dos.tsv": self.text.replace("\n", "\r\n"), "blank_end.tsv": self.text + "\n\n", "no_end.tsv": self.text[:-1],
            "comma.csv": comma, "semicolon.csv": comma.replace(",", ";"), "tab.csv": self.text, "quoted.csv": "".join(f'"{a}","{b}"\r\n' for a, b in [("group", "name"), *self.rows]),
            "rows.jsonl": "".join(json.dumps({"group": a, "name": b}) + "\n" for a, b in self.rows),
            "bom.jsonl": b"\xef\xbb\xbf" + "".join(json.dumps({"group": a}) + "\r\n" for a, _ in self.rows).encode(),
        }
        for name, content in tables.items():
            with self.subTest(name):
                classes, document = self.labels("--labels", f"{self.put(name, content)}:group")
                self.assertEqual(classes, {"g0": 10, "g1": 10, "g2": 10, "g3": 10})
                self.assertEqual({v["label"] for k, v in document["items"].items() if int(k) % 4 == 2}, {"g2"})
        for name, content, spec in (("n.csv", comma, "1"), ("b.csv", bare.replace("\t", ","), "1"), ("b.tsv", bare, "1"),
                                    ("line.txt", "".join(a + "\n" for a, _ in self.rows), ""), ("bom.txt", b"\xef\xbb\xbf" + "".join(a + "\n" for a, _ in self.rows).encode(), ""),
                                    ("one.csv", "group\n" + "".join(a + "\n" for a, _ in self.rows), "")):
            with self.subTest(name):
                self.assertEqual(self.labels("--labels", f"{self.put(name, content)}" + (f":{spec}" if spec else ""))[0], {"g0": 10, "g1": 10, "g2": 10, "g3": 10})

    def test_quoted_cells(self):
        import csv
        names = {3: 'says "hi"', 5: "two\nlines", 7: "a\ttab", 9: "a,comma", 11: ""}
        for ending, mark in (("tsv", "\t"), ("csv", ",")):
            with open(self.path / f"q.{ending}", "w", newline="") as file:
                writer = csv.writer(file, delimiter=mark, lineterminator="\n")
                writer.writerow(["group", "name"])
                for i, (a, b) in enumerate(self.rows):
                    writer.writerow([a, names.get(i, b)])
            _, document = self.labels("--labels", f"{self.path}/q.{ending}:group", "--names", f"{self.path}/q.{ending}:name")
            for k, item in document["items"].items():
                self.assertEqual(item["name"], names.get(int(k), f"item {k}"))

    def test_an_empty_label_is_no_label(self):
        part = self.put("half.txt", "".join((a if i < 8 else "") + "\n" for i, (a, _) in enumerate(self.rows)))
        document, _ = support.report("--image", self.x, "--labels", part)
        self.assertNotIn("", [c["label"] for c in document["modalities"][0].get("classes", [])])
        # Only rows with a label ask, and only they can answer.
        rows = support.load(self.x)
        unit = [[v / sum(w * w for w in row) ** 0.5 for v in row] for row in rows]
        dot = lambda a, b: sum(u * v for u, v in zip(a, b))
        match = sum(max((dot(unit[i], unit[j]), -j) for j in range(40) if j != i)[1] in [-j for j in range(8) if j % 4 == i % 4] for i in range(8)) / 8
        self.assertAlmostEqual(support.value(document, "label_match", "image"), match, places=12)

    def test_one_sentence_names_the_cause(self):
        cases = [
            (self.put("latin1.tsv", self.text.replace("item 3\n", "caf\u00e9 3\n").encode("latin-1")), "group", "line 5 holds the byte 0xe9, which is no UTF-8"),
            (self.put("odd.tsv", self.text.encode("utf-16")[:-1]), "group", "UTF-16 of an odd number of bytes"),
            (self.put("zero.tsv", self.text.encode("utf-16-le")), "group", "zero byte"),
            (self.put("short.csv", self.text.replace("\t", ",")[:200]), "group", "values for 40 rows"),
            (self.put("t.csv", self.text.replace("\t", ",")), "size", 'has no column "size"; it has group, name'),
            (self.put("bad.jsonl", '{"group": "a"}\n{"group": \n'), "group", "line 2 is no JSON object"),
            (self.put("list.jsonl", '{"group": [1]}\n' * 40), "group", 'line 1: "group" is a list'),
            (self.put("empty.tsv", ""), "group", "is empty"),
        ]
        for file, column, part in cases:
            with self.subTest(file.name):
                done = support.run("--image", self.x, "--labels", f"{file}:{column}")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(part, done.stderr)
                self.assertEqual(len([l for l in done.stderr.splitlines() if l.startswith("spheremix-analyze")]), 1)


if __name__ == "__main__":
    support.main()
