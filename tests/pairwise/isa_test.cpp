// The inner loops of every instruction set this processor has, against long double.
#include "spheremix/pairwise/isa.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "spheremix/formula/softmax_pair.hpp"
#include "support/differences.hpp"
#include "support/each_isa.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

template <class T>
core::MatrixView<const T> input(const RowMatrix<T>& m) {
  return {m.data(), m.rows(), m.cols(), m.cols()};
}
template <class T>
core::MatrixView<T> output(RowMatrix<T>& m) {
  return {m.data(), m.rows(), m.cols(), m.cols()};
}

/// The inner loops of one instruction set.
template <core::Isa>
struct Kernels;

#define SPHEREMIX_TEST_KERNELS(ISA)                                                               \
  template <>                                                                                     \
  struct Kernels<core::Isa::ISA> {                                                                \
    static constexpr const char* name = #ISA;                                                     \
    template <class T, bool TA, bool TB>                                                          \
    static void product(core::MatrixView<T> c, Index k, core::MatrixView<const T> a,              \
                        core::MatrixView<const T> b, bool add) {                                  \
      std::vector<T> pa(std::size_t(pairwise::kPackA<T>)), pb(std::size_t(pairwise::kPackB<T>));  \
      simd::ISA::product<T>(c, k, a.data, a.stride, TA, b.data, b.stride, TB, add, pa.data(),     \
                            pb.data(), false);                                                    \
    }                                                                                             \
    template <class T>                                                                            \
    static std::uint32_t angles(T* x, Index n, T limit) {                                         \
      return simd::ISA::acos_row<T>(x, n, limit);                                                 \
    }                                                                                             \
    template <class T, class Int>                                                                 \
    static Index count(const T* s, Index n, T least, const T* own, Int* in_column) {              \
      return simd::ISA::count_at_least<T>(s, n, least, own, in_column);                           \
    }                                                                                             \
    template <class T, class P>                                                                   \
    static void statistics(const P& p, core::MatrixView<const T> s, T* rm, T* rs, T* cm, T* cs) { \
      simd::ISA::softmax_statistics<T, P>(p, s, 0, 0, rm, rs, cm, cs);                            \
    }                                                                                             \
    template <class T, class P>                                                                   \
    static double gradient(const P& p, core::MatrixView<T> s, const T* a, const T* b, const T* c, \
                           const T* d) {                                                          \
      return simd::ISA::softmax_gradient<T, P>(p, s, 0, 0, a, b, c, d);                           \
    }                                                                                             \
  };
SPHEREMIX_TEST_COPIES(SPHEREMIX_TEST_KERNELS)

}  // namespace

TEST_CASE_TEMPLATE("products of every shape, transposed or not, added or not", T, float, double) {
  each_isa<Kernels>([]<class K>() {
    CAPTURE(std::string(K::name));
    for (const auto& shape : {std::array<Index, 3>{1, 1, 1},
                              {1, 64, 3},
                              {14, 32, 16},
                              {13, 33, 17},
                              {6, 16, 255},
                              {4, 64, 9},
                              {8, 32, 5},
                              {18, 32, 70},
                              {22, 64, 33},
                              {64, 96, 260},
                              {29, 31, 257},
                              {253, 65, 40},
                              {60, 514, 20},
                              {5, 7, 1030}}) {
      const Index m = shape[0], n = shape[1], d = shape[2];
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(d);
      const RowMatrix<T> a = gaussian_rows<T>(m, d, 1), b = gaussian_rows<T>(n, d, 2),
                         at = a.transpose(), bt = b.transpose();
      const RowMatrix<T> before = gaussian_rows<T>(m, n, 3);
      const LongMatrix want =
          a.template cast<long double>() * b.template cast<long double>().transpose();
      const double within = 4 * double(core::epsilon<T>) * std::sqrt(double(d));
      RowMatrix<T> c = before, first;
      K::template product<T, false, true>(output(c), d, input(a), input(b), false);
      CHECK(matrix_error(c, want) < within);
      first = c;
      K::template product<T, false, false>(output(c), d, input(a), input(bt), false);
      CHECK(same_bits(c, first));  // one chain of multiply-adds, however the operands lie
      K::template product<T, true, false>(output(c), d, input(at), input(bt), false);
      CHECK(same_bits(c, first));
      c = before;
      K::template product<T, true, false>(output(c), d, input(at), input(bt), true);
      CHECK(matrix_error(c, LongMatrix(want + before.template cast<long double>())) < within);
      if (m > 3 && n > 5) {  // a block of the result has the bits that it has in the whole
        RowMatrix<T> part(m - 3, n - 5);
        K::template product<T, false, true>(output(part), d, {a.row(3).data(), m - 3, d, d},
                                            {b.row(5).data(), n - 5, d, d}, false);
        CHECK(same_bits(part, first.bottomRightCorner(m - 3, n - 5)));
      }
    }
  });
}

TEST_CASE_TEMPLATE("low tiles at the lower edge write their rows alone", T, float, double) {
  each_isa<Kernels>([]<class K>() {
    CAPTURE(std::string(K::name));
    for (Index rows = 1; rows <= 30; ++rows)
      for (const Index cols : {Index(32), Index(64), Index(50)})
        for (const bool add : {false, true}) {
          CAPTURE(rows);
          CAPTURE(cols);
          const Index d = 19;
          const RowMatrix<T> a = gaussian_rows<T>(rows, d, 1), b = gaussian_rows<T>(cols, d, 2);
          RowMatrix<T> c = gaussian_rows<T>(rows + 14, cols, 3);
          const RowMatrix<T> before = c;
          K::template product<T, false, true>({c.data(), rows, cols, cols}, d, input(a), input(b),
                                              add);
          CHECK(same_bits(c.bottomRows(14).eval(), before.bottomRows(14).eval()));
          LongMatrix want =
              a.template cast<long double>() * b.template cast<long double>().transpose();
          if (add) want += before.topRows(rows).template cast<long double>();
          CHECK(matrix_error(c.topRows(rows).eval(), want) < 32 * double(core::epsilon<T>));
        }
  });
}

TEST_CASE_TEMPLATE("counts along a row and down the columns: ties count, NaN does not", T, float,
                   double) {
  each_isa<Kernels>([]<class K>() {
    CAPTURE(std::string(K::name));
    using Int = simd::LaneInt<T>;
    for (Index n = 0; n < 40; ++n) {
      CAPTURE(n);
      std::vector<T> s(std::size_t(n) + 1), own(s);
      std::vector<Int> in_column(s.size(), 5), want = in_column;
      for (std::size_t j = 0; j < s.size(); ++j) {
        s[j] = T(int(j * 7 % 5) - 2);
        own[j] = T(int(j * 3 % 5) - 2);
      }
      if (n > 2) s[2] = core::nan<T>;
      if (n > 19) own[19] = core::nan<T>;
      Index row = 0;
      for (std::size_t j = 0; j < std::size_t(n); ++j) {
        row += s[j] >= T(1);
        want[j] += s[j] >= own[j];
      }
      CHECK(K::count(s.data(), n, T(1), static_cast<const T*>(nullptr), in_column.data()) == row);
      CHECK(in_column[0] == 5);
      CHECK(K::count(s.data(), n, T(1), own.data(), in_column.data()) == row);
      CHECK(in_column == want);
    }
  });
}

TEST_CASE_TEMPLATE("softmax statistics and weights of ragged tiles", T, float, double) {
  each_isa<Kernels>([]<class K>() {
    CAPTURE(std::string(K::name));
    for (const auto& shape : {std::pair<Index, Index>{1, 1}, {3, 64}, {5, 63}, {2, 65}, {7, 200}})
      for (const T scale : {T(1), T(100)}) {
        const Index m = shape.first, n = shape.second;
        CAPTURE(m);
        CAPTURE(n);
        RowMatrix<T> s = gaussian_rows<T>(m, n, 4) / T(3);
        if (n > 2) s(m / 2, n / 2) = -core::infinity<T>;  // a special pair
        const formula::SoftmaxPair<T, true, true> policy{scale, T(0.5), T(0.25)};
        const Index padded = (n + 63) / 64 * 64;
        Vector<T> rm(m), rs(m), cm(padded), cs(padded);
        K::template statistics<T>(policy, input(s), rm.data(), rs.data(), cm.data(), cs.data());
        const LongMatrix z = (s * scale).template cast<long double>();
        const double eps = double(core::epsilon<T>);
        for (Index i = 0; i < m; ++i) {
          const long double top = z.row(i).maxCoeff();
          CHECK(rm(i) == T(top));
          long double sum = 0;
          for (Index j = 0; j < n; ++j) sum += std::exp(z(i, j) - top);
          CHECK(relative_error(rs(i), sum) < 6 * eps);
        }
        for (Index j = 0; j < n; ++j) {
          const long double top = z.col(j).maxCoeff();
          CHECK(cm(j) == T(top));
          long double sum = 0;
          for (Index i = 0; i < m; ++i)
            if (top > -core::infinity<long double>) sum += std::exp(z(i, j) - top);
          CHECK(std::abs(double(cs(j) - sum)) <= 6 * eps * double(sum));
        }
        const Vector<T> row_scale = Vector<T>::Constant(m, T(0.5)),
                        col_scale = Vector<T>::Constant(n, T(2));
        Vector<T> shift = cm.head(n).cwiseMax(T(-1000));
        RowMatrix<T> g = s;
        const double moment = K::template gradient<T>(
            policy, output(g), rm.data(), row_scale.data(), shift.data(), col_scale.data());
        long double want_moment = 0, size = 0;
        for (Index i = 0; i < m; ++i)
          for (Index j = 0; j < n; ++j) {
            const long double p = std::exp(z(i, j) - (long double)(rm(i))) * 0.5L,
                              q = std::exp(z(i, j) - (long double)(shift(j))) * 2;
            const double reach =
                1 +
                double(std::abs(z(i, j) > -1e30L ? z(i, j) - (long double)(shift(j)) : 0.0L)) / 4;
            const long double want = (long double)(scale) * (0.5L * p + 0.25L * q);
            CHECK(std::abs(double((long double)(g(i, j)) - want)) <=
                  8 * eps * double(want) * reach + 1e-30);
            if (s(i, j) > -core::infinity<T>)
              want_moment += want * (long double)(s(i, j)),
                  size += std::abs(want * (long double)(s(i, j)));
          }
        CHECK(std::abs(moment - double(want_moment)) <= 64 * eps * double(size));
      }
  });
}

TEST_CASE_TEMPLATE("the exponential: a few eps from its largest to its smallest argument", T, float,
                   double) {
  each_isa<Kernels>([]<class K>() {
    CAPTURE(std::string(K::name));
    constexpr Index n = 64;
    const formula::SoftmaxPair<T, true, false> policy{T(1), T(1), T(0)};
    double worst = 0;
    for (int step = 0; step < 2000; ++step) {
      RowMatrix<T> x(1, n);
      for (Index j = 0; j < n; ++j)
        x(0, j) = -T(step * n + j) * T(sizeof(T) == 4 ? 86.0 : 700.0) / T(2000 * n);
      const RowMatrix<T> before = x;
      const T zero = 0, one = 1;
      K::template gradient<T>(policy, output(x), &zero, &one, nullptr, nullptr);
      for (Index j = 0; j < n; ++j)
        worst = std::max(worst, eps_error<T>(x(0, j), std::exp((long double)(before(0, j))),
                                             std::exp((long double)(before(0, j)))));
    }
    CHECK(worst < 2);
    RowMatrix<T> far(1, 9);
    far << T(0), T(-1e4), -core::infinity<T>, T(-0.0), T(-88), T(-1500), T(-1e7), T(-1e30),
        -core::largest<T>;
    const T zero = 0, one = 1;
    K::template gradient<T>(policy, output(far), &zero, &one, nullptr, nullptr);
    CHECK(far(0, 0) == 1);
    CHECK(far(0, 1) == 0);
    CHECK(far(0, 2) == 0);
    CHECK(far(0, 3) == 1);
    for (Index j = sizeof(T) == 4 ? 4 : 5; j < far.size(); ++j) CHECK(far(0, j) == 0);
  });
}

TEST_CASE_TEMPLATE("angles of moderate cosines: 2 and 3 eps, NaN and their chunk's bit beyond", T,
                   float, double) {
  each_isa<Kernels>([]<class K>() {
    CAPTURE(std::string(K::name));
    const T limit = T(0.85);
    double worst = 0;
    for (int step = -4000; step < 4000; step += 64) {
      T x[64], angle[64];
      for (int k = 0; k < 64; ++k) angle[k] = x[k] = limit * (T(step + k) / T(4000));
      CHECK(K::angles(angle, 64, limit) == 0);
      for (int k = 0; k < 64; ++k)
        worst = std::max(worst, relative_error(angle[k], std::acos((long double)(x[k]))));
    }
    CHECK(worst < (sizeof(T) == 4 ? 2 : 3) * double(core::epsilon<T>));
    for (const Index n : {1, 63, 64, 65, 200, 512, 2048}) {
      CAPTURE(n);
      for (const Index place : {Index(0), n / 2, n - 1})
        for (const T bad : {core::nan<T>, std::nextafter(limit, T(1)), T(-1), core::infinity<T>}) {
          std::vector<T> x(std::size_t(n + 1), T(0.25));
          x[std::size_t(place)] = bad;
          CHECK(K::angles(x.data(), n, limit) == std::uint32_t(1) << (place / 64));
          for (Index j = 0; j < n; ++j)
            CHECK((x[std::size_t(j)] < 0) == (j == place));  // an angle is not
          CHECK(x[std::size_t(n)] == T(0.25));               // nothing behind the row is touched
        }
    }
  });
}
