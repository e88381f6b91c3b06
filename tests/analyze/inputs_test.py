"""Formats give the same figures; every wrong input is one sentence and exit status 2, nothing written."""
import os
import random
import struct

import support

DRAW = random.Random(1)
ROWS = [[struct.unpack("<e", struct.pack("<e", DRAW.gauss(0.2, 1)))[0] for _ in range(12)] for _ in range(60)]
OTHER = [[struct.unpack("<e", struct.pack("<e", x + DRAW.gauss(0, 0.5)))[0] for x in row] for row in ROWS]


def tensor(dtype, rows):
    return dtype, [len(rows), len(rows[0])], support.numbers(rows, {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype])


class Inputs(support.Folder):
    def setUp(self):
        super().setUp()
        self.image = self.put("image.npy", support.header("<f4", 60, 12) + support.numbers(ROWS))
        self.text = self.put("text.npy", support.header("<f4", 60, 12) + support.numbers(OTHER))

    def figures(self, *arguments):
        return [(m["scope"], m["key"], m["value"]) for m in support.report(*arguments)[0]["metrics"]]

    def test_every_format_gives_the_same_figures(self):
        expected = self.figures("--image", self.image, "--text", self.text)
        others = {
            "half": self.put("h.npy", support.header("<f2", 60, 12) + support.numbers(ROWS, "<f2")),
            "double": self.put("d.npy", support.header("<f8", 60, 12) + support.numbers(ROWS, "<f8")),
            "fvecs": self.put("x.fvecs", support.fvecs(ROWS)),
            "fbin": self.put("x.fbin", support.fbin(ROWS)),
            "one tensor": self.put("one.safetensors", support.safetensors({"a": tensor("F16", ROWS)})),
            "named tensor": str(self.put("two.safetensors", support.safetensors({"a": tensor("F32", OTHER), "b": tensor("F64", ROWS)}))) + ":b",
        }
        for i, (first, last) in enumerate(((0, 25), (25, 26), (26, 60)), 9):  # part_9, part_10, part_11
            self.put(f"part_{i}.npy", support.header("<f4", last - first, 12) + support.numbers(ROWS[first:last]))
        others["shards"] = self.path / "part_*.npy"
        for name, file in others.items():
            with self.subTest(name):
                self.assertEqual(self.figures("--image", file, "--text", self.text), expected)

    def test_threads_change_no_figure(self):
        self.assertEqual(self.figures("--image", self.image, "--text", self.text, "--threads", 1),
                         self.figures("--image", self.image, "--text", self.text, "--threads", 3))

    def test_one_file_three_modalities_and_augmented_pairs(self):
        single, _ = support.report("--image", self.image)
        self.assertEqual(single["pairs"], [])
        three, _ = support.report("--modality", f"a={self.image}", "--modality", f"b={self.text}", "--modality", f"c={self.image}")
        self.assertEqual([(p["x"], p["y"]) for p in three["pairs"]], [("a", "b"), ("a", "c"), ("b", "c")])
        self.assertEqual(support.value(three, "recall1", "a-c"), 1)
        both = [row for pair in zip(ROWS, OTHER) for row in pair]
        file = self.put("both.npy", support.header("<f4", 120, 12) + support.numbers(both))
        augmented, _ = support.report("--image", file, "--augmented")
        plain, _ = support.report("--image", self.image, "--text", self.text)
        for key in ("alignment", "gap", "recall1", "mrr", "uniformity_joint", "cka", "ece", "hardness"):
            self.assertEqual(support.value(augmented, key, "first-second"), support.value(plain, key, "image-text"))

    def test_several_captions_a_picture(self):
        owner = [i // 2 for i in range(60)]
        index = self.put("index.txt", "".join(f"{i}\n" for i in owner))
        few = self.put("few.npy", support.header("<f4", 30, 12) + support.numbers(ROWS[:30]))
        document, _ = support.report("--image", few, "--text", self.text, "--index", index)

        def unit(row):
            length = sum(x * x for x in row) ** 0.5
            return [x / length for x in row]

        v, t = [unit(r) for r in ROWS[:30]], [unit(r) for r in OTHER]
        s = [[sum(a * b for a, b in zip(x, y)) for y in t] for x in v]
        forward = [1 + sum(s[i][j] >= max(s[i][2 * i], s[i][2 * i + 1]) for j in range(60) if owner[j] != i) for i in range(30)]
        back = [1 + sum(s[i][j] >= s[owner[j]][j] for i in range(30) if i != owner[j]) for j in range(60)]
        for scope, ranks in (("image-text", forward), ("text-image", back)):
            self.assertAlmostEqual(support.value(document, "mrr", scope), sum(1 / r for r in ranks) / len(ranks), places=12)
            self.assertAlmostEqual(support.value(document, "recall5", scope), sum(r <= 5 for r in ranks) / len(ranks), places=12)
        alignment = sum(sum((a - b) ** 2 for a, b in zip(v[owner[j]], t[j])) for j in range(60)) / 60
        self.assertAlmostEqual(support.value(document, "alignment", "image-text"), alignment, places=12)

    def test_sample_beyond_exact_rows_has_intervals(self):
        rows = [[DRAW.gauss(0, 1) for _ in range(4)] for _ in range(3000)]
        big = self.put("big.npy", support.header("<f4", 3000, 4) + support.numbers(rows))
        exact, _ = support.report("--image", big)
        sampled, _ = support.report("--image", big, "--exact-rows", 1000, "--sample", 500)
        found = next(m for m in sampled["metrics"] if m["key"] == "uniformity")
        self.assertEqual(found["how"], "seeded sample of 500 of 3,000 rows")
        low, high = found["interval"]
        self.assertTrue(low <= support.value(exact, "uniformity", "image") <= high, f"{found}")
        self.assertLess(high - low, 0.2)
        self.assertEqual(support.value(exact, "effective_rank", "image"), support.value(sampled, "effective_rank", "image"))

    def test_every_figure_of_a_sample_has_an_interval(self):
        """Intervals of a sample against the figures of all rows: 95 % of them should hold it, most must."""
        rows = [[DRAW.gauss(0.3, 1) for _ in range(8)] for _ in range(3000)]
        others = [[x + DRAW.gauss(0, 0.7) for x in row] for row in rows]
        files = [support.save(self.path / f"{name}.npy", r) for name, r in (("i", rows), ("t", others))]
        labels = self.put("labels.txt", "".join(f"{i % 2}\n" for i in range(3000)))
        arguments = ("--image", files[0], "--text", files[1], "--labels", labels)
        exact, _ = support.report(*arguments)
        sampled, _ = support.report(*arguments, "--exact-rows", 1000, "--sample", 900)
        held, compared = [], 0
        for m in sampled["metrics"]:
            if m["how"] == "exact":
                continue
            self.assertRegex(m["how"], r"^seeded sample of 900 of 3,000 (rows|pairs)$")
            low, high = m["interval"]
            self.assertTrue(low <= (m["value"] or 0) <= high or m["key"] in ("hubness", "top_hub", "cka_shuffled"), m)
            # Figures of order N over the sample's own number of rows: ranks, neighbours and hubs among 900 are others than among 3,000.
            if m["key"] in ("uniformity", "uniformity_cross", "uniformity_joint", "alignment", "positive_cosine", "negative_cosine",
                            "distribution_gap", "cka"):
                whole, compared = support.value(exact, m["key"], m["scope"]), compared + 1
                if not low <= whole <= high:
                    held.append((m["scope"], m["key"], whole, m["interval"]))
        self.assertEqual(compared, 9)
        self.assertLessEqual(len(held), 1, held)

    def test_intervals_narrow_with_the_sample(self):
        rows = [[DRAW.gauss(0.3, 1) for _ in range(8)] for _ in range(2400)]
        others = [[x + 1 + DRAW.gauss(0, 0.7) for x in row] for row in rows]  # without a gap its interval narrows faster
        files = [support.save(self.path / f"{name}.npy", r) for name, r in (("i", rows), ("t", others))]
        width = {}
        for sample in (400, 1600):
            document, _ = support.report("--image", files[0], "--text", files[1], "--exact-rows", 100, "--sample", sample)
            for m in document["metrics"]:
                if m["key"] in ("uniformity_cross", "distribution_gap", "cka", "alignment", "gap"):
                    width.setdefault(m["key"], []).append(m["interval"][1] - m["interval"][0] if "interval" in m else None)
        self.assertEqual(width.pop("gap"), [None, None], "the gap of all rows has no interval of a sample")
        for key, (few, many) in width.items():
            self.assertTrue(1.5 < few / many < 2.7, f"{key}: {few} of 400 rows, {many} of 1,600")  # 2: a root

    def test_a_block_of_zero_rows(self):
        wide = lambda i: [1 + (i * (k + 3)) % 7 for k in range(64)]  # Eigen's large products fail on depth 0
        rows = [wide(i) for i in range(100)] + [[0] * 64] * 9000 + [wide(i) for i in range(100)]
        file = self.put("holes.npy", support.header("<f4", 9200, 64) + support.numbers(rows))
        document, said = support.report("--image", file)
        self.assertIn("image: 9,000 rows are all zero (first: rows 100, 101, 102, 103, 104)", said)
        self.assertEqual(document["modalities"][0]["usable"], 200)

    def test_wrong_inputs(self):
        image, text = self.image, self.text
        short = self.put("short.npy", support.header("<f4", 59, 12) + support.numbers(ROWS[:59]))
        nothing = self.put("nothing.npy", support.header("<f4", 0, 12))
        zero = self.put("zero.npy", support.header("<f4", 60, 12) + bytes(60 * 12 * 4))
        words = self.put("words.npy", "these are words\n")
        cut = self.put("cut.npy", image.read_bytes()[:-5])
        whole = self.put("whole.npy", support.header("<i4", 60, 12).replace(b"f", b"f") + bytes(60 * 12 * 4))
        one = self.put("one.npy", support.header("<f4", 1, 12) + support.numbers(ROWS[:1]))
        nan = self.put("nan.npy", support.header("<f4", 60, 12) + support.numbers([[float("nan")] * 12] * 60))
        huge = self.put("huge.npy", support.header("<f8", 9000, 1) + support.numbers([[1e200 * (-1) ** i] for i in range(9000)], "<f8"))
        table = self.put("items.tsv", "id\tname\n" + "".join(f"{i}\tx\n" for i in range(59)))
        ragged = self.put("ragged.tsv", "id\tname\n" + "".join(f"{i}\n" for i in range(60)))
        index = self.put("index.txt", "0\n" * 59 + "60\n")
        tensors = self.put("two.safetensors", support.safetensors({"a": tensor("F16", ROWS), "b": tensor("F32", ROWS)}))
        broken = self.put("broken.safetensors", struct.pack("<Q", 1 << 40) + b"{}")
        picture = self.put("tiny.png", b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 48, 48) + bytes(5))
        other = self.put("other.json", "{}")
        cases = [
            ((), "no embeddings given"),
            (("--image", self.path / "absent.npy"), "cannot be opened"),
            (("--image", self.path), "ends with none of .npy"),
            (("--image", self.path / "none_*.npy"), "no file matches"),
            (("--image", image, "--text", short), "pairs need as many rows"),
            (("--image", words), "is not an .npy file"),
            (("--image", cut), "the file is cut off"),
            (("--image", whole), "holds whole numbers"),
            (("--image", nothing), "has no rows"),
            (("--image", zero), "all 60 rows are zero"),
            (("--image", one), "1 of 1 rows can be used"),
            (("--image", nan), "0 of 60 rows can be used"),
            (("--image", huge), "beyond the range of f4"),
            (("--image", image, "--no-such-option"), "--no-such-option"),
            ((image,), "files of rows are given as --image FILE, --text FILE or --modality NAME=FILE"),
            (("--image", image, "--sample", "many"), "--sample"),
            (("--image", image, "--labels", f"{table}:id"), "has 59 values for 60 rows"),
            (("--image", image, "--labels", f"{table}:size"), 'has no column "size"; it has id, name'),
            (("--image", image, "--labels", f"{ragged}:name"), "line 2 has 1 cells"),
            (("--image", image, "--names", self.path / "no.tsv"), "cannot be opened"),
            (("--image", image, "--text", text, "--index", index), 'line 60 is "60"'),
            (("--image", image, "--index", index), "takes two modalities"),
            (("--image", image, "--text", text, "--augmented"), "--augmented takes one modality"),
            (("--image", short, "--augmented"), "59 rows, which are not pairs"),
            (("--image", tensors), "holds 2 tensors (a, b)"),
            (("--image", f"{tensors}:c"), 'has no tensor "c"'),
            (("--image", broken), "is not a safetensors file"),
            (("--image", image, "--pictures", picture), "FILE.png:WIDTHxHEIGHT"),
            (("--image", image, "--pictures", f"{picture}:48x48"), "room for 1 pictures"),
            (("--image", image, "--pictures", f"{words}:48x48"), "is not a PNG file"),
            (("--modality", "image"), "NAME=FILE is expected"),
            (("--modality", f"a={image}", "--modality", f"a={text}"), "two modalities are called a"),
            (("--image", image, "--fail-if", "gap>"), "a metric, one of"),
            (("--image", image, "--fail-if", "beauty>1"), "there is no metric beauty"),
            (("--image", image, "--fail-if", "gap>1"), "no such figure"),
            (("--image", image, "--report", self.path / "no/out.html"), "there is no folder"),
            (("--compare", other, other), "is not a JSON report"),
            (("--compare", other), "two JSON reports"),
            (("slerp-path", "--image", image, "--from", "image:60", "--to", "image:1"), "a row of image from 0 to 59"),
            (("slerp-path", "--image", image, "--from", "sound:1", "--to", "image:1"), "there is no modality sound"),
            (("fix", "--input", image, "--output", self.path / "out.txt", "--repair", "centre"), "must end with .npy"),
            (("fix", "--input", image, "--output", self.path / "out.npy", "--repair", "polish"), "polish"),
            (("fix", "--input", nan, "--output", self.path / "out.npy", "--repair", "normalise"), "put --repair drop-bad first"),
        ]
        before = sorted(os.listdir(self.path))
        for arguments, sentence in cases:
            with self.subTest(sentence):
                out = [] if arguments and arguments[0] in ("slerp-path", "fix") else ["--json", self.path / "out.json"]
                done = support.run(*arguments, *([] if "--report" in arguments else out))
                self.assertEqual(done.returncode, 2, done.stderr)
                lines = [line for line in done.stderr.splitlines() if line.startswith("spheremix-analyze: ")]
                self.assertEqual(len(lines), 1, done.stderr)
                self.assertIn(sentence, lines[0])
                self.assertEqual(done.stdout, "")
                self.assertEqual(sorted(os.listdir(self.path)), before, "something was written")


if __name__ == "__main__":
    support.main()
