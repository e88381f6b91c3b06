"""Faults by operator: every place of a function of a C++ header where one can be made, and what the header then is.

  sites(text)                                          {(function, "operator token number"): (from, to, new text)}
  planted(text, function, "operator token number")     the text with that fault
  planted(text, function, "old>new number")            with one token of it in place of another

The token is the one that the operator works on: the operator's sign, the number, the name of what is called or assigned to, the first word of a
statement or an operand. The number, from 1, tells those of one function apart, in their order.

Operators:
  delete  a statement, with the if or for before it      ignore  an if: what it guards happens always
  true, false  a condition, or an operand of && and ||   then, else  of c ? a : b that alone
  left, right  of a binary operator that operand alone   sign  + and -, += and -=, a minus before a term
  negate  what is returned or assigned                   set  += and its like to =
  edge  < and <=, > and >=                               turn  < and >, == and !=
  more, fewer, one  a number: +1, -1, 1                  swap  two arguments next to each other
  exchange  what stands on both sides of an operator, or of the : of ?     inner  a call: one of its arguments alone
  zero  an operand or an argument: 0 (more, fewer, negate, too)
  flip  true and false, min and max, then &, && and |, ||

The text is taken as clang-format leaves it: a binary operator stands between spaces, a function's brace after one. A
function goes by its name; what stands in none by its struct's, or "-".
"""
import functools
import re

TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|^\s*\#[^\n]*(?:\\\n[^\n]*)*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|(?:\d[\w.']*(?:(?<=[eE])[+-]\d+)?)
 |[A-Za-z_]\w*(?:::~?[A-Za-z_]\w*)*
 |<<=|>>=|->|\+\+|--|&&|\|\||<=|>=|==|!=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|<<|>>|::|.""", re.X | re.S | re.M)
PRECEDENCE = {"*": 10, "/": 10, "%": 10, "+": 9, "-": 9, "<<": 8, ">>": 8, "<": 7, "<=": 7, ">": 7, ">=": 7, "==": 6, "!=": 6,
              "&": 5, "^": 4, "|": 3, "&&": 2, "||": 1}
OPEN, CLOSE = "([{", ")]}"
ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
STOPS = {",", ";", "?", ":", "return", "co_return"} | ASSIGN
NOT_A_NAME = {"if", "for", "while", "switch", "requires", "decltype", "alignas", "explicit", "noexcept", "sizeof", "constexpr", "catch",
              "static_assert"}
NUMBER = re.compile(r"\d+(?:\.\d+)?$")


class Text:
    def __init__(self, text):
        self.text = text
        self.tokens = [m for m in TOKEN.finditer(text) if m[0].strip() and not re.match(r"//|/\*|\s*#", m[0])]
        self.kind = [m[0] for m in self.tokens]
        self.pair, self.inside, stack = {}, [], []  # bracket -> its other one; token -> the bracket that it is in
        for i, t in enumerate(self.kind):
            if t in CLOSE and stack:
                j = stack.pop()
                self.pair[i], self.pair[j] = j, i
            self.inside.append(self.kind[stack[-1]] if stack else "")
            if t in OPEN:
                stack.append(i)
        self.owner = self.owners()

    def spaced(self, i):
        """Does token i stand between white space?"""
        a, b = self.tokens[i].start(), self.tokens[i].end()
        return self.text[a - 1].isspace() and self.text[b:b + 1].isspace()

    def binary(self, i):
        return self.kind[i] in PRECEDENCE and self.spaced(i) and (self.kind[i - 1] in CLOSE or re.match(r"[\w\"']", self.kind[i - 1]))

    def owners(self):
        """Of every token: the innermost function, else struct, that it stands in, and whether that is a function."""
        owner, now = [], [("-", False)]
        for i, t in enumerate(self.kind):
            if t == "{":
                now.append(now[-1] if now[-1][1] else self.named(i) or now[-1])
            owner.append(now[-1])
            if t == "}" and len(now) > 1:
                now.pop()
        return owner

    def named(self, brace):
        """(name, is it a function?) of what opens at a brace outside of functions."""
        if not self.text[self.tokens[brace].start() - 1].isspace() or self.kind[brace - 1] in ASSIGN | {"return", ",", "("}:
            return None
        head, i = [], brace - 1
        while i >= 0 and self.kind[i] not in ";{}":
            i = self.pair.get(i, i) if self.kind[i] in CLOSE else i
            head.insert(0, i)
            i -= 1
        words = [self.kind[k] for k in head]
        if "namespace" in words:
            return None
        for k in head:
            if self.kind[k] == "(" and re.match(r"[A-Za-z_]", self.kind[k - 1]) and self.kind[k - 1] not in NOT_A_NAME and \
                    not self.kind[k - 1].isupper() and not self.kind[k - 1].startswith("SPHEREMIX"):
                return (self.kind[k - 1].split("::")[-1], True)
            if self.kind[k] == "(" and "operator" in words:
                return ("operator", True)
        for word in ("struct", "class", "union"):
            if word in words:
                name = next((w for w in words[words.index(word) + 1:] if re.match(r"[A-Za-z_]\w*$", w) and not w.startswith("SPHEREMIX")), None)
                return (name, False) if name else None
        return None

    def right_end(self, i, precedence):
        """The token after an operand that starts after token i, of an operator of this precedence."""
        k = i + 1
        while k < len(self.kind):
            t = self.kind[k]
            if t in OPEN:
                k = self.pair.get(k, k)
            elif t in CLOSE or t in STOPS or (self.binary(k) and PRECEDENCE[t] <= precedence):
                return k
            k += 1
        return k

    def left_start(self, i, precedence):
        """The first token of an operand that ends before token i."""
        k = i - 1
        while k >= 0:
            t = self.kind[k]
            if t in CLOSE:
                k = self.pair.get(k, k)
            elif t in OPEN or t in STOPS or t == "}" or (self.binary(k) and PRECEDENCE[t] < precedence):
                return k + 1
            k -= 1
        return 0

    def call_start(self, i):
        """The first token of the call whose arguments open at token i; None for other parentheses."""
        k = i - 1
        if self.kind[k] == ")":
            k = self.pair.get(k, k)
            return k if self.text[self.tokens[k].start() + 1:self.tokens[k].start() + 5] == "std:" else None
        if self.kind[k] == ">":
            while k > 0 and self.kind[k] != "<":
                k -= 1
            k -= 1
        if not re.match(r"[A-Za-z_]", self.kind[k]) or self.kind[k] in NOT_A_NAME | {"return"}:
            return None
        while self.kind[k - 1] in (".", "->") and re.match(r"[A-Za-z_]", self.kind[k - 2]):
            k -= 2
        return k

    def called(self, i):
        """The name before the bracket at token i, also of (std::max)(a, b)."""
        return i - 2 if self.kind[i - 1] == ")" else i - 1

    def assigned(self, i):
        """What an assignment at token i is to; i of a return."""
        k = i if self.kind[i] == "return" else i - 1
        while self.kind[k] in CLOSE:
            k = self.pair.get(k, k) - 1
        return k

    def span(self, a, b):
        """Characters of the tokens [a, b)."""
        return self.tokens[a].start(), self.tokens[b - 1].end()


def statements(t):
    """(first token, token after it) of every simple statement, what guards it included."""
    for i, kind in enumerate(t.kind):
        if kind != ";" or not t.owner[i][1] or t.inside[i] == "(":
            continue
        k = i - 1
        while k >= 0 and t.kind[k] not in (";", "{"):
            if t.kind[k] == "}" and re.match(r"[\w}]|\+\+|--", t.kind[k + 1]):
                break  # the end of a block
            k = t.pair.get(k, k) - 1 if t.kind[k] in CLOSE else k - 1
        first = k + 1
        if k < 0 or first == i or t.kind[first] in ("else", "using", "static_assert"):
            continue
        yield first, i + 1


def edits(t):
    """(operator, token, first character, last character, replacement)"""
    text = t.text
    for first, after in statements(t):
        at, empty = first, ""
        while True:
            a, b = t.span(at, after)
            yield "delete", at, a, b, empty
            if t.kind[at] not in ("if", "for", "while") or t.kind[at + 1] != "(":
                break
            guarded = t.pair[at + 1] + 1
            if t.kind[at] == "if":
                yield "ignore", at, a, t.tokens[guarded].start(), ""
            at, empty = guarded, ";"
    for i, kind in enumerate(t.kind):
        a, b = t.tokens[i].span()
        if t.binary(i):
            p = PRECEDENCE[kind]
            left, right = t.left_start(i, p), t.right_end(i, p)
            if left < i and right > i + 1:
                yield "left", i, t.tokens[i - 1].end(), t.tokens[right - 1].end(), ""
                yield "right", i, t.tokens[left].start(), t.tokens[i + 1].start(), ""
                own = t.left_start(i, p + 0.5)
                x, y = t.span(own, i), t.span(i + 1, right)
                yield "exchange", i, x[0], y[1], text[y[0]:y[1]] + text[x[1]:y[0]] + text[x[0]:x[1]]
                for operand, (start, end) in ((own, x), (i + 1, y)):
                    yield "zero", operand, start, end, "0"
                    yield "more", operand, end, end, " + 1"
                if kind in ("&&", "||"):
                    for word in ("true", "false"):
                        yield word, own, *x, word
                        yield word, i + 1, *y, word
            for operator, changes in (("sign", {"+": "-", "-": "+"}), ("edge", {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}),
                                      ("turn", {"<": ">", ">": "<", "==": "!=", "!=": "=="}), ("flip", {"&&": "||", "||": "&&"})):
                if kind in changes:
                    yield operator, i, a, b, changes[kind]
        elif kind == "-" and not text[b:b + 1].isspace() and t.kind[i + 1] != "-":
            yield "sign", i, a, b, ""
        if kind in ASSIGN - {"="}:
            if kind in ("+=", "-="):
                yield "sign", t.assigned(i), a, b, {"+=": "-=", "-=": "+="}[kind]
            yield "set", t.assigned(i), a, b, "="
        if kind == "return" or (kind == "=" and t.spaced(i)):
            at = t.tokens[i + 1].start()
            yield "negate", t.assigned(i), at, at, "-"
        if kind in ("if", "while") and t.kind[i + 1] == "(":
            for word in ("true", "false"):
                yield word, i, t.tokens[i + 1].end(), t.tokens[t.pair[i + 1]].start(), word
        if kind == "return" or kind in ASSIGN:
            end = t.right_end(i, 0)
            if end < len(t.kind) and t.kind[end] == ";" and end > i + 1:
                for word in ("true", "false", "0"):
                    yield "zero" if word == "0" else word, t.assigned(i), t.tokens[i + 1].start(), t.tokens[end - 1].end(), word
        if kind == "?" and t.spaced(i):
            start = t.left_start(i, 0)
            k, depth = i + 1, 1
            while k < len(t.kind) and depth:
                if t.kind[k] in OPEN:
                    k = t.pair.get(k, k)
                depth += {"?": 1, ":": -1}.get(t.kind[k], 0)
                k += 1
            end = k
            while end < len(t.kind) and t.kind[end] not in (",", ";") and t.kind[end] not in CLOSE:
                end = t.pair.get(end, end) + 1 if t.kind[end] in OPEN else end + 1
            if start < i and k < end <= len(t.kind):
                yield "then", i, t.tokens[start].start(), t.tokens[end - 1].end(), text[t.tokens[i + 1].start():t.tokens[k - 2].end()]
                yield "else", i, t.tokens[start].start(), t.tokens[k].start(), ""
                x, y = t.span(i + 1, k - 1), t.span(k, end)
                yield "exchange", i, x[0], y[1], text[y[0]:y[1]] + text[x[1]:y[0]] + text[x[0]:x[1]]
                yield "zero", i + 1, *x, "0"
                yield "zero", k, *y, "0"
                for word in ("true", "false"):
                    yield word, start, t.tokens[start].start(), t.tokens[i - 1].end(), word
        if NUMBER.match(kind):
            whole = "." not in kind
            for operator, value in (("more", int(kind) + 1 if whole else None), ("fewer", int(kind) - 1 if whole else None),
                                    ("one", 1 if kind != "1" else None)):
                if value is not None and value >= 0:
                    yield operator, i, a, b, str(value)
        if kind in ("true", "false"):
            yield "flip", i, a, b, {"true": "false", "false": "true"}[kind]
        if kind in ("std::min", "std::max"):
            yield "flip", i, a, b, {"std::min": "std::max", "std::max": "std::min"}[kind]
        if kind in "([{" and i in t.pair and t.kind[i - 1] not in ("if", "for", "while"):
            parts, start, k = [], i + 1, i + 1
            while k < t.pair[i]:
                if t.kind[k] in OPEN:
                    k = t.pair[k]
                elif t.kind[k] in ",;":
                    parts.append((start, k))
                    start = k + 1
                k += 1
            parts.append((start, t.pair[i]))
            if kind == "(" and t.kind[i - 1] == "core::expects" and parts[0][1] > parts[0][0]:
                x, y = t.span(*parts[0])
                yield "true", i, x, y, "true"
            call = t.call_start(i) if kind == "(" else None
            for p, q in parts:
                if q > p and kind != "{":
                    x, y = t.span(p, q)
                    yield "zero", p, x, y, "0"
                    yield "negate", p, x, x, "-"
                    yield "more", p, y, y, " + 1"
                    yield "fewer", p, y, y, " - 1"
                    if call is not None:
                        yield "inner", t.called(i), t.tokens[call].start(), t.tokens[t.pair[i]].end(), text[x:y]
            for (p, q), (r, s) in zip(parts, parts[1:]):
                if q > p and s > r and t.kind[q] == ",":
                    x, y = t.span(p, q), t.span(r, s)
                    yield "swap", t.called(i), x[0], y[1], text[y[0]:y[1]] + text[x[1]:y[0]] + text[x[0]:x[1]]


@functools.cache
def sites(text):
    t = Text(text)
    found, count, seen = {}, {}, set()
    for operator, token, a, b, new in sorted(edits(t), key=lambda e: (e[2], e[3])):
        name, function = t.owner[token]
        if text[a:b] == new or (operator, a, b, new) in seen or not (function or operator in ("more", "fewer", "one", "flip", "sign", "swap")):
            continue
        seen.add((operator, a, b, new))
        key = name, f"{operator} {t.kind[token]}"
        count[key] = count.get(key, 0) + 1
        found[name, f"{key[1]} {count[key]}"] = (a, b, new)
    return found


def planted(text, function, fault):
    """The text with a fault, None where it has no such place."""
    what, _, number = fault.rpartition(" ")
    old, _, new = what.partition(">")
    if new and " " not in what:
        t = Text(text)
        places = [t.tokens[i].span() for i, kind in enumerate(t.kind) if kind == old and t.owner[i][0] == function]
        at = (*places[int(number) - 1], new) if 0 < int(number) <= len(places) else None
    else:
        at = sites(text).get((function, fault))
    return at and text[:at[0]] + at[2] + text[at[1]:]



SAMPLE = """
struct Line {
  double at(int i, int n) const {
    if (i < 0) return -1;
    double sum = a[i] + b * 2;
    for (int k = 1; k < n; ++k) sum += f(k, i);
    return sum > 0 ? sum : 0;
  }
};
"""
EXPECTED = {"delete if 1": "{\n    \n    double", "ignore if 1": "{\n    return -1;", "delete return 1": "0) ;", "delete double 1": "-1;\n    \n",
            "delete sum 1": "++k) ;",
            "true if 1": "if (true)", "false if 1": "if (false)", "zero sum 1": "sum = 0;", "edge < 1": "i <= 0", "turn < 2": "k > n", "delete for 1": "b * 2;\n    \n",
            "sign - 1": "return 1;", "left + 1": "sum = a[i];",
            "right + 1": "sum = b * 2;", "exchange + 1": "sum = b * 2 + a[i];", "left * 1": "a[i] + b;", "set sum 1": "sum = f(k", "swap f 1": "f(i, k)",
            "inner f 1": "sum += k;", "inner f 2": "sum += i;", "then ? 1": "return sum;", "else ? 1": "return 0;", "negate return 1": "return --1",
            "fewer 2 1": "b * 1", "zero b 2": "a[i] + 0;", "n>m 1": "k < m"}


def self_test():
    """What is wrong with the operators, by a small sample."""
    return [f"{fault} of the sample makes\n{made}" for fault, part in EXPECTED.items()
            if part not in (made := planted(SAMPLE, "at", fault) or "nothing") or part in SAMPLE]
