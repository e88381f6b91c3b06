"""--qrels: nDCG@10 and MAP against their definitions, ties against; the sentences for files that judge nothing."""
import json
from pathlib import Path

import support
from oracle import Sets, cosines, np, unit


def by_definition(s, grades, k=10):
    """Means over the queries with an answer of grade above 0: sort all, of equals the lower grade first, and read the list."""
    ndcg, ap = [], []
    for row, grade in zip(s, np.maximum(grades, 0)):
        if not grade.any():
            continue
        listed = grade[np.lexsort((grade, -row))]
        discount = 1 / np.log2(2 + np.arange(len(row)))
        ndcg.append((listed * discount)[:k].sum() / (np.sort(grade)[::-1] * discount)[:k].sum())
        hit = listed > 0
        ap.append((np.cumsum(hit) / (1 + np.arange(len(row))))[hit].mean())
    return np.mean(ndcg), np.mean(ap), len(ap)


class Judged(Sets):
    def judge(self, name, grades, mask, form="{} 0 {} {}\n", head="", query=str, document=str):
        text = head + "".join(form.format(query(i), document(j), int(grades[i, j])) for i, j in zip(*np.nonzero(mask)))
        (self.path / name).write_text(text)
        return self.path / name

    def sets(self, n=70, m=180, d=24, whole=False, seed=1):
        r = np.random.default_rng(seed)
        y = np.where(r.random((m, d)) < 0.5, -1, 1) if whole else r.standard_normal((m, d))
        x = y[r.integers(0, m, n)] * (np.where(r.random((n, d)) < 0.2, -1, 1) if whole else 1) + (0 if whole else r.standard_normal((n, d)))
        mask = r.random((n, m)) < 0.04
        mask[::9] = False  # queries nobody judged
        return x, y, mask, r.integers(-1, 4, (n, m)) * mask

    def check(self, document, s, grades):
        for scope, table, judged in (("image-text", s, grades), ("text-image", s.T, grades.T)):
            ndcg, ap, queries = by_definition(table, judged)
            for key, expected in (("ndcg10", ndcg), ("map", ap)):
                m = next(m for m in document["metrics"] if (m["key"], m["scope"]) == (key, scope))
                self.assertAlmostEqual(m["value"], expected, places=9, msg=f"{scope}.{key}")
                self.assertEqual(m["queries"], queries)
                self.assertTrue(m["interval"][0] <= m["value"] <= m["interval"][1])
                self.assertRegex(m["reading"], r"\d")

    def test_rows_that_are_no_pairs(self):
        for whole, more in ((False, ()), (True, ()), (True, ("--precision", "single"))):
            with self.subTest((whole, more)):
                x, y, mask, grades = self.sets(whole=whole)
                document, _ = support.report("--image", self.put("x", x), "--text", self.put("y", y), "--qrels", self.judge("q.txt", grades, mask), *more)
                self.check(document, cosines(x.astype("<f4"), y.astype("<f4"), whole=whole), grades)
                self.assertEqual(document["pairs"], [{"x": "image", "y": "text", "unpaired": True}])
                gap = np.linalg.norm(unit(x.astype("<f4")).mean(0) - unit(y.astype("<f4")).mean(0))
                self.assertAlmostEqual(support.value(document, "gap", "image-text"), gap, places=7)

    def test_pairs_with_judgements_beside_and_missing_rows(self):
        x, y, mask, grades = self.sets(80, 80)
        x[7] = 0
        y[12, 3] = np.nan
        document, _ = support.report("--image", self.put("x", x), "--text", self.put("y", y), "--qrels", self.judge("q.txt", grades, mask))
        keep = np.ones(80, bool)
        keep[[7, 12]] = False
        self.check(document, cosines(x[keep].astype("<f4"), y[keep].astype("<f4")), grades[keep][:, keep])
        self.assertIsNotNone(support.value(document, "recall1", "image-text"))

    def test_names_of_queries_and_documents(self):
        x, y, mask, grades = self.sets()
        image, text = self.put("x", x), self.put("y", y)
        (self.path / "q.tsv").write_text("id\n" + "".join(f"query-{i}\n" for i in range(70)))
        (self.path / "d.jsonl").write_text("".join(json.dumps({"_id": f"MED-{7 * j}"}) + "\n" for j in range(180)))
        names = ("--query-ids", f"{self.path / 'q.tsv'}:id", "--document-ids", f"{self.path / 'd.jsonl'}:_id")
        expected, _ = support.report("--image", image, "--text", text, "--qrels", self.judge("plain.txt", grades, mask))
        for form, head in (("{} 0 {} {}\n", ""), ("{}\t{}\t{}\n", "query-id\tcorpus-id\tscore\n"), ("{} Q0 {} {}\r\n", "\ufeff")):
            qrels = self.judge("named.txt", grades, mask, form, head, lambda i: f"query-{i}", lambda j: f"MED-{7 * j}")
            found, _ = support.report("--image", image, "--text", text, "--qrels", qrels, *names)
            self.assertEqual([(m["scope"], m["key"], m["value"]) for m in found["metrics"]], [(m["scope"], m["key"], m["value"]) for m in expected["metrics"]])
        files = [f["name"] for f in found["run"]["files"]]
        self.assertEqual(sorted(Path(f).name for f in files), ["d.jsonl", "named.txt", "q.tsv", "x.npy", "y.npy"])

    def test_the_gate_and_the_page(self):
        x, y, mask, grades = self.sets()
        files = ("--image", self.put("x", x), "--text", self.put("y", y))
        judged = (*files, "--qrels", self.judge("q.txt", grades, mask))
        for condition, status in (("map<2", 3), ("image-text.ndcg10<0", 0), ("text-image.map>=0", 3), ("recall1<1", 2), ("cka>0", 2), ("image.hubness>99", 0)):
            with self.subTest(condition):
                done = support.run(*judged, "--fail-if", condition)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertEqual(done.stdout == "", status == 2)
        self.assertEqual(support.run("--image", files[1], "--text", files[1], "--fail-if", "map<2").returncode, 2)
        done = support.run(*judged, "--report", self.path / "r.html", "--json", self.path / "a.json", "--lists", self.path / "lists", "--csv", self.path / "csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nDCG@10", (self.path / "r.html").read_text())
        done = support.run("--compare", self.path / "a.json", self.path / "a.json", "--fail-if", "map!=0", "--report", self.path / "c.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"image-text\.map +0\.\d+")

    def test_one_sentence_for_what_judges_nothing(self):
        x, y, _, _ = self.sets()
        files = ("--image", self.put("x", x), "--text", self.put("y", y))
        (self.path / "ids.tsv").write_text("id\n" + "a\n" * 70)
        cases = [
            ("0 0 1 1\n0 0 500 1\n", 'line 2: "500" where a row number from 0 to 179'), ("0 0 1 1\n0 0 -3 1\n", 'line 2: "-3"'), ("a b c d\n", "holds no judgement"),
            ("", "holds no judgement"), ("0 0 1\tx\n0 0 1 y\n", 'line 2: the grade "y" is no number'), ("0 0 1 1\n0 0 1 2\n", "line 2 judges the same query and document as line 1"),
            ("0 0 1 1 1 1\n", "line 1 has 6 words"), ("0 0 1 1\n0 0 1 nan\n", 'the grade "nan" is no number'), ("0 0 1 1\nq1 0 1 1\n", 'line 2: "q1"'), (b"\xff\xfe0", "odd number of bytes"),
        ]
        for content, sentence in cases:
            with self.subTest(sentence):
                (self.path / "q.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
                self.refused((*files, "--qrels", self.path / "q.txt"), sentence)
        (self.path / "q.txt").write_text("0 0 1 1\n")
        for arguments, sentence in (((*files, "--qrels", self.path / "no.txt"), "cannot be opened"), (("--image", files[1], "--qrels", self.path / "q.txt"), "--qrels takes two modalities"),
                                    ((*files, "--query-ids", f"{self.path / 'ids.tsv'}:id"), "--query-ids"), (files, "pairs need as many rows"),
                                    ((*files, "--qrels", self.path / "q.txt", "--query-ids", f"{self.path / 'ids.tsv'}:id"), 'names two rows, 0 and 1'),
                                    (("--image", files[1], "--text", self.put("w", y[:, :9]), "--qrels", self.path / "q.txt"), "no cosine joins"),
                                    ((*files, "--qrels", self.path / "q.txt", "--json", self.path / "q.txt"), "is an input")):
            with self.subTest(sentence):
                self.refused(arguments, sentence)

    def refused(self, arguments, sentence):
        done = support.run(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("spheremix-analyze: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn(sentence, lines[0])


if __name__ == "__main__":
    support.main()
