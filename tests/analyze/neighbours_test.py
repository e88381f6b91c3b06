"""--neighbours and --neighbours-out: nearest rows in the form of faiss. What was written and read back, or found as faiss
finds it, gives the figures of the tool's own search; what cannot be right is one sentence."""
import copy
import json
import random
import struct

import support

DRAW = random.Random(7)
N, D = 300, 8
LOWEST = struct.unpack("<f", b"\xff\xff\x7f\xff")[0]
LABELS = "".join(f"k{i % 4}\n" for i in range(N))


def draw_rows(n=N):
    return [[DRAW.gauss(0, 1) + (i % 4 == k) for k in range(D)] for i in range(n)]


def unit(row):
    length = sum(x * x for x in row) ** 0.5
    return [x / length if length > 0 else 0.0 for x in row]


def search(rows, k):
    """(ids, cosines) of a search for rows among themselves, as faiss.IndexFlatIP answers: copies by their numbers, the row among them."""
    units = [unit(r) for r in rows]
    found = []
    for x in units:
        cosines = [sum(a * b for a, b in zip(x, y)) for y in units]
        order = sorted(range(len(rows)), key=lambda j: (-round(cosines[j], 9), j))[:k]
        found.append(([*order], [cosines[j] for j in order]))
    return [f[0] for f in found], [f[1] for f in found]


def whole(path):
    """An .npy file's descr, shape and rows."""
    raw = path.read_bytes()
    start = 10 + int.from_bytes(raw[8:10], "little")
    header = eval(raw[10:start].decode(), {"__builtins__": {}})
    rows, cols = header["shape"]
    values = struct.unpack(f"<{rows * cols}{ {'<i8': 'q', '<f4': 'f'}[header['descr']] }", raw[start:])
    return header["descr"], header["shape"], [list(values[i * cols:(i + 1) * cols]) for i in range(rows)]


class Neighbours(support.Folder):
    def table(self, name, rows, descr):
        """Numbers of any kind; .T is the other order in memory."""
        kind = {"i8": "q", "i4": "i", "f4": "f", "f8": "d"}[descr[1:]]
        return self.put(name, support.npy(repr(descr), (len(rows), len(rows[0])), b"".join(struct.pack(descr[0] + f"{len(r)}{kind}", *r) for r in rows)))

    def lists(self, ids, cosines, name="f"):
        return f"{self.table(name + '_i.npy', ids, '<i8')},{self.table(name + '_d.npy', cosines, '<f4')}"

    def document(self, *arguments):
        document, _ = support.report(*arguments)
        return document

    def same(self, own, given, names=("image",)):
        """But for what says where neighbours come from, all of a document."""
        own, given = copy.deepcopy(own), copy.deepcopy(given)
        for document in (own, given):
            document.pop("run")
            for key in ("seconds", "given"):
                document["settings"].pop(key)
        for m in given["modalities"]:
            about = m.pop("given_neighbours", None)
            self.assertEqual(about is not None, m["name"] in names)
            if about:
                self.assertEqual((about["lacking"]["count"], about["rows"]), (0, m["analysed"]))
        self.assertEqual(own, given)

    def refused(self, sentence, *arguments, status=2):
        done = support.run(*arguments, "--json", self.path / "refused.json", cwd=self.path)
        self.assertEqual(done.returncode, status, done.stderr)
        said = [line for line in done.stderr.splitlines() if line.startswith("spheremix-analyze: ")]
        self.assertEqual((len(said), done.stdout), (1, ""), done.stderr)
        self.assertIn(sentence, said[0])
        self.assertFalse((self.path / "refused.json").exists())

    def test_written_and_read_back(self):
        rows, other = draw_rows(), draw_rows()
        rows[5], rows[60], rows[61] = [float("nan")] * D, [0.0] * D, [0.0] * D
        for i in (20, 70, 71, *range(200, 214)):  # more copies than places
            rows[i] = rows[7]
        x, y = support.save(self.path / "x.npy", rows), support.save(self.path / "y.npy", other)
        labels = self.put("l.tsv", LABELS)
        for precision in ("double", "single"):
            out = self.path / precision
            both = ("--image", x, "--text", y, "--labels", labels, "--precision", precision)
            own = self.document(*both, "--neighbours-out", out)
            self.assertEqual(sorted(f.name for f in out.iterdir()), ["image_cosines.npy", "image_ids.npy", "text_cosines.npy", "text_ids.npy"])
            descr, shape, ids = whole(out / "image_ids.npy")
            self.assertEqual((descr, shape), ("<i8", (N, 11)))
            descr, shape, cosines = whole(out / "image_cosines.npy")
            self.assertEqual((descr, shape), ("<f4", (N, 11)))
            units = [unit(r) for r in rows]
            for i in range(N):
                if i in (5, 60, 61):
                    self.assertEqual((ids[i], cosines[i]), ([-1] * 11, [LOWEST] * 11))
                    continue
                self.assertEqual(len(set(ids[i]) - {i, 5, 60, 61}), 11)
                self.assertEqual(cosines[i], sorted(cosines[i], reverse=True))
                for j, c in zip(ids[i], cosines[i]):
                    self.assertAlmostEqual(c, sum(a * b for a, b in zip(units[i], units[j])), places=5)
            named = [a for m in ("image", "text") for a in ("--neighbours", f"{m}={out}/{m}_ids.npy,{out}/{m}_cosines.npy")]
            again = self.path / (precision + "2")
            self.same(own, self.document(*both, *named, "--neighbours-out", again), ("image", "text"))
            for file in out.iterdir():
                self.assertEqual((again / file.name).read_bytes(), file.read_bytes(), file.name)

    def test_as_faiss_finds_them(self):
        rows = draw_rows(120)
        for i in range(30, 43):  # 13 copies: a row may stand beyond the first 12, and need not be first
            rows[i] = rows[2]
        x = support.save(self.path / "x.npy", rows)
        ids, cosines = search(rows, 16)
        self.assertNotIn(42, ids[42][:1])
        own = self.document("--image", x)
        self.same(own, self.document("--image", x, "--neighbours", "image=" + self.lists(ids, cosines)))
        # Other numbers of the same size, shards, an array of an archive, and -1 at the end.
        ids, cosines = [r + [-1] for r in ids], [r + [LOWEST] for r in cosines]
        for part, (first, last) in enumerate(((0, 50), (50, 120))):
            self.table(f"part_{part}.npy", ids[first:last], ">i4")
        self.table("d,d.npy", cosines, ">f8")
        given = self.document("--image", x, "--neighbours", f"image={self.path}/part_*.npy,{self.path}/d,d.npy")
        self.assertEqual([f["name"] for f in given["run"]["files"]], ["x.npy", "part_0.npy", "part_1.npy", "d,d.npy"])
        self.assertIn("image=part_*.npy,d,d.npy", given["run"]["command"])
        self.assertNotIn(str(self.path), json.dumps(given))
        self.same(self.document("--image", x), given)
        members = {"I.npy": self.table("i.npy", ids, "<i4").read_bytes(), "D.npy": self.table("d.npy", cosines, "<f4").read_bytes()}
        packed = self.put("both.npz", support.archive(members, 8))
        self.same(own, self.document("--image", x, "--neighbours", f"image={packed}:I,{packed}:D"))
        few = support.save(self.path / "few.npy", rows[:6])  # fewer rows than places
        self.same(self.document("--image", few), self.document("--image", few, "--neighbours", "image=" + self.lists(*search(rows[:6], 6))))

    def test_figures_of_all_rows_where_the_rest_is_of_a_sample(self):
        x, labels = support.save(self.path / "x.npy", draw_rows()), self.put("l.tsv", LABELS)
        all_of = ("--image", x, "--labels", labels)
        some = (*all_of, "--exact-rows", 200, "--sample", 150)
        exact, out = self.path / "exact", self.path / "out"
        own = self.document(*all_of, "--neighbours-out", exact, "--lists", self.path / "own")
        named = ("--neighbours", f"image={exact}/image_ids.npy,{exact}/image_cosines.npy")
        given = self.document(*some, *named, "--neighbours-out", out, "--lists", self.path / "given", "--map", "--report", self.path / "r.html")
        for file in exact.iterdir():
            self.assertEqual((out / file.name).read_bytes(), file.read_bytes())
        figures = [{m["key"]: (m["value"], m["how"]) for m in d["metrics"]} for d in (own, given)]
        of_neighbours = ("hubness", "top_hub", "label_match", "label_noise")
        for key in of_neighbours:
            self.assertEqual((figures[0][key][0], "neighbours given"), figures[1][key])  # no sweep has met all pairs
        for key in ("uniformity", "near_duplicates"):
            self.assertEqual(figures[1][key][1], "seeded sample of 150 of 300 rows")
        for key in ("hubs", "occurrences", "outliers", "label_noise"):
            self.assertEqual(own["modalities"][0][key], given["modalities"][0][key], key)
        about = given["modalities"][0]["given_neighbours"]
        self.assertEqual((about["rows"], about["looked_at"], about["lacking"]["count"], about["columns"]), (300, 150, 0, 11))
        for name in ("neighbours_image.csv", "outliers_image.csv", "suspects_image.csv"):
            self.assertEqual((self.path / "own" / name).read_text(), (self.path / "given" / name).read_text(), name)
        self.refused("--neighbours-out: image is a sample of 150 of 300 rows: give --exact-rows 300, or --neighbours image=", *some, "--neighbours-out", out)

    def test_lists_that_lack_nearer_rows_are_told(self):
        rows = draw_rows()
        x = support.save(self.path / "x.npy", rows)
        ids, cosines = search(rows, 16)
        for i in (17, 40):
            del ids[i][3], cosines[i][3]
            ids[i].append(-1), cosines[i].append(0)
        files = self.lists(ids, cosines)
        document, said = support.report("--image", x, "--neighbours", "image=" + files)
        self.assertEqual(document["modalities"][0]["given_neighbours"]["lacking"], {"count": 2, "first": [17, 40]})
        sentence = "image: the neighbours given lack some of the 10 nearest for 2 of 300 rows (first: row 17); figures of neighbours are of those given."
        self.assertIn(sentence, said)
        self.assertIn({"level": "look", "scope": "image", "key": "given_neighbours", "text": sentence}, document["readings"])
        self.assertEqual({m["how"] for m in document["metrics"] if m["key"] in ("hubness", "top_hub")}, {"neighbours given"})
        counts = [0] * N
        for i, row in enumerate(ids):
            for j in [j for j in row if j != i][:10]:
                counts[j] += 1
        self.assertEqual([h["count"] for h in document["modalities"][0]["hubs"]], sorted(counts, reverse=True)[:10])
        document = self.document("--image", x, "--neighbours", "image=" + files, "--exact-rows", 250, "--sample", 240)
        self.assertTrue(any(r["key"] == "given_neighbours" for r in document["readings"]))

    def test_a_list_that_lacks_a_tie_at_its_edge_is_told(self):
        rows = draw_rows(80)
        tenth = [j for j in search(rows, 12)[0][17] if j != 17][9]
        x = support.save(self.path / "x.npy", [*rows, rows[tenth]])
        ids, cosines = search([*rows, rows[tenth]], 16)
        place = ids[17].index(80)
        self.assertEqual(place, 11)  # behind the row itself and ten others, as near as the last of these
        del ids[17][place], cosines[17][place]
        ids, cosines = [r[:15] for r in ids], [r[:15] for r in cosines]
        document = self.document("--image", x, "--neighbours", "image=" + self.lists(ids, cosines))
        self.assertEqual(document["modalities"][0]["given_neighbours"]["lacking"], {"count": 1, "first": [17]})

    def test_what_cannot_be_right_is_one_sentence(self):
        rows = draw_rows(60)
        x = support.save(self.path / "x.npy", rows)
        ids, cosines = search(rows, 14)

        def changed(table, row, column, value):
            other = [list(r) for r in table]
            other[row][column] = value
            return other

        def wrong(sentence, i=ids, d=cosines, name="image"):
            self.refused(sentence, "--image", x, "--neighbours", f"{name}={self.lists(i, d)}")
        wrong("f_i.npy: 59 rows where ", ids[:59], cosines[:59])
        wrong("f_d.npy: is 60 x 13 where ", ids, [r[:13] for r in cosines])
        wrong(f"--neighbours image: {self.path}/f_i.npy: 10 columns where 11 other rows are needed: search for 12 or more, the row itself among them",
              [r[:10] for r in ids], [r[:10] for r in cosines])
        wrong("f_i.npy: row 0 holds 10 other rows that can be used where 11 are needed: search for 12 or more", [r[:11] for r in ids], [r[:11] for r in cosines])
        wrong("f_i.npy: row 4, column 13 holds 60 where a row from 0 to 59 is expected, or -1", changed(ids, 4, 13, 60))
        wrong("f_i.npy: row 4, column 0 holds -2 where", changed(ids, 4, 0, -2))
        wrong("f_i.npy: row 4, column 0 holds 9223372036854775808 where", changed(ids, 4, 0, 2**63 - 1))
        wrong(f"f_i.npy: row 9 holds row {ids[9][2]} twice", changed(ids, 9, 3, ids[9][2]), changed(cosines, 9, 3, cosines[9][2]))
        for bad, shown in ((float("nan"), "nan"), (1.01, "1.01"), (-1.01, "-1.01"), (float("inf"), "inf")):
            wrong(f"f_d.npy: row 3, column 5 holds {shown}, which is no cosine", ids, changed(cosines, 3, 5, bad))
        wrong("f_d.npy: row 3 holds 0.99 at column 5 after ", ids, changed(cosines, 3, 5, 0.99))
        wrong("decreasing cosines are expected, not distances", ids, [[c / 2 for c in reversed(r)] for r in cosines])
        near = cosines[8][13] - 0.002
        wrong(f"f_d.npy: row 8, column 13 holds {near:.4f} where the cosine of rows 8 and {ids[8][13]} is {cosines[8][13]:.4f}", ids,
              changed(cosines, 8, 13, near))
        self.document("--image", x, "--neighbours", "image=" + self.lists(ids, changed(cosines, 8, 13, cosines[8][13] - 0.0008)))
        wrong("--neighbours text: there is no such set among image", name="text")
        self.refused("--neighbours image: is given twice", "--image", x, *["--neighbours", "image=" + self.lists(ids, cosines)] * 2)
        for text in ("image", "=a.npy,b.npy", "image=a.npy", "image=,b.npy", "image=a.npy,"):
            self.refused("NAME=IDS.npy,COSINES.npy is expected", "--image", x, "--neighbours", text)
        real = self.table("real.npy", cosines, "<f4")
        self.refused("real.npy: holds <f4 where row numbers are i8 or i4", "--image", x, "--neighbours", f"image={real},{real}")
        self.refused("--neighbours image: nowhere.npy: cannot be opened", "--image", x, "--neighbours", f"image=nowhere.npy,{real}")
        self.refused("row numbers are read from .npy and .npz", "--image", x, "--neighbours", f"image={self.put('x.fbin', support.fbin(cosines))},{real}")
        self.refused("has the shape (60,) where N rows of k row numbers are expected", "--image", x, "--neighbours",
                     f"image={self.put('one.npy', support.npy(repr('<i8'), '(60,)', bytes(480)))},{real}")
        self.refused("holds whole numbers", "--image", self.path / "f_i.npy")  # row numbers are no embeddings
        self.refused("--neighbours has no effect with --compare", "--compare", x, x, "--neighbours", "image=a.npy,b.npy")
        self.refused("--neighbours-out has no effect with --compare", "--compare", x, x, "--neighbours-out", "o")

    def test_what_is_read_is_not_overwritten(self):
        x = support.save(self.path / "x.npy", draw_rows(60))
        out = self.path / "o"
        support.report("--image", x, "--neighbours-out", out)
        before = {f.name: f.read_bytes() for f in out.iterdir()}
        self.refused("image_ids.npy: is an input and would be overwritten", "--image", x, "--neighbours",
                     f"image={out}/image_ids.npy,{out}/image_cosines.npy", "--neighbours-out", out)
        self.assertEqual({f.name: f.read_bytes() for f in out.iterdir()}, before)
        self.refused("there is no folder", "--image", x, "--neighbours-out", self.path / "no" / "such")


if __name__ == "__main__":
    support.main()
