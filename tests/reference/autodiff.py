"""Reverse-mode differentiation over arrays of mpmath numbers.

The oracle writes each formula once, as a value; the gradient follows from the chain rule at the working
precision of mpmath. It shares nothing with the closed forms that the library uses.
"""
import mpmath
import numpy

mpmath.mp.dps = 80

_exp = numpy.frompyfunc(mpmath.exp, 1, 1)
_log = numpy.frompyfunc(mpmath.log, 1, 1)
_sqrt = numpy.frompyfunc(mpmath.sqrt, 1, 1)
_sin = numpy.frompyfunc(mpmath.sin, 1, 1)
_cos = numpy.frompyfunc(mpmath.cos, 1, 1)
_atan2 = numpy.frompyfunc(mpmath.atan2, 2, 1)
_mpf = numpy.frompyfunc(mpmath.mpf, 1, 1)


def array(x):
    """Floats, lists of floats or arrays, exactly, as an array of mpf."""
    a = numpy.asarray(x)
    if a.dtype != object:
        a = a.astype(float).astype(object)
    return numpy.asarray(_mpf(a), dtype=object)


def product(a, b):
    """Matrix product, each entry rounded once."""
    out = numpy.empty((a.shape[0], b.shape[1]), dtype=object)
    columns = [list(b[:, j]) for j in range(b.shape[1])]
    for i in range(a.shape[0]):
        row = list(a[i])
        for j, column in enumerate(columns):
            out[i, j] = mpmath.fdot(row, column)
    return out


def _fit(gradient, shape):
    """Sums a gradient over the axes that broadcasting added."""
    g = numpy.asarray(gradient, dtype=object)
    while g.ndim > len(shape):
        g = numpy.asarray(g.sum(axis=0), dtype=object)
    for axis, size in enumerate(shape):
        if size == 1 and g.shape[axis] != 1:
            g = numpy.asarray(g.sum(axis=axis, keepdims=True), dtype=object)
    return numpy.asarray(g, dtype=object).reshape(shape)


class Var:
    """A node: its value and, for each parent, how a cotangent of the value becomes one of the parent."""

    __array_ufunc__ = None

    def __init__(self, value, parents=()):
        self.value = value if isinstance(value, numpy.ndarray) and value.dtype == object else array(value)
        self.parents = parents
        self.gradient = None

    @property
    def shape(self):
        return self.value.shape

    @property
    def T(self):
        return Var(self.value.T, [(self, lambda g: g.T)])

    def __add__(self, other):
        o = lift(other)
        return Var(numpy.asarray(self.value + o.value, dtype=object), [(self, lambda g: g), (o, lambda g: g)])

    def __neg__(self):
        return Var(numpy.asarray(-self.value, dtype=object), [(self, lambda g: -g)])

    def __sub__(self, other):
        return self + (-lift(other))

    def __rsub__(self, other):
        return lift(other) + (-self)

    def __mul__(self, other):
        o = lift(other)
        return Var(numpy.asarray(self.value * o.value, dtype=object),
                   [(self, lambda g: g * o.value), (o, lambda g: g * self.value)])

    def __truediv__(self, other):
        o = lift(other)
        value = numpy.asarray(self.value / o.value, dtype=object)
        return Var(value, [(self, lambda g: g / o.value), (o, lambda g: -g * value / o.value)])

    def __rtruediv__(self, other):
        return lift(other) / self

    def __matmul__(self, other):
        o = lift(other)
        return Var(product(self.value, o.value),
                   [(self, lambda g: product(g, o.value.T)), (o, lambda g: product(self.value.T, g))])

    __radd__ = __add__
    __rmul__ = __mul__

    def sum(self, axis=None):
        value = numpy.asarray(self.value.sum(axis=axis, keepdims=axis is not None), dtype=object)
        return Var(value, [(self, lambda g: numpy.broadcast_to(g, self.shape))])

    def rows(self, index):
        """Rows in the order of `index`."""
        index = numpy.asarray(index)

        def back(g):
            out = numpy.full(self.shape, mpmath.mpf(0), dtype=object)
            for k, i in enumerate(index):
                out[i] = out[i] + g[k]
            return out

        return Var(self.value[index], [(self, back)])

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if id(node) not in seen:
                seen.add(id(node))
                for parent, _ in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        for node in order:
            node.gradient = None
        self.gradient = numpy.full(self.shape, mpmath.mpf(1), dtype=object)
        for node in reversed(order):
            if node.gradient is None:
                continue
            for parent, back in node.parents:
                g = _fit(back(node.gradient), parent.shape)
                parent.gradient = g if parent.gradient is None else parent.gradient + g


def lift(x):
    return x if isinstance(x, Var) else Var(array(x))


def exp(x):
    value = numpy.asarray(_exp(x.value), dtype=object)
    return Var(value, [(x, lambda g: g * value)])


def log(x):
    return Var(numpy.asarray(_log(x.value), dtype=object), [(x, lambda g: g / x.value)])


def sqrt(x):
    value = numpy.asarray(_sqrt(x.value), dtype=object)
    return Var(value, [(x, lambda g: g / (2 * value))])


def sin(x):
    return Var(numpy.asarray(_sin(x.value), dtype=object), [(x, lambda g: g * _cos(x.value))])


def cos(x):
    return Var(numpy.asarray(_cos(x.value), dtype=object), [(x, lambda g: -g * _sin(x.value))])


def atan2(y, x):
    square = x.value * x.value + y.value * y.value
    return Var(numpy.asarray(_atan2(y.value, x.value), dtype=object),
               [(y, lambda g: g * x.value / square), (x, lambda g: -g * y.value / square)])
