// What the losses with mixed rows share: the lambda argument, partners, rows mixed along the sphere
// and the way back through them.
//
//   m_i = slerp from b_i (lambda = 0) to a_i (lambda = 1)
//
// lambda is the weight of the FIRST argument.
//
// Gradients are ambient through the dot products and tangent through the mixing map: what autograd
// gives after the tangent projection, or with the normalisation inside the graph.
#pragma once

#include <type_traits>
#include <vector>

#include "spheremix/core/numbers.hpp"
#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/sphere/detail/slerp_passes.hpp"

namespace spheremix::losses {

namespace detail {

using sphere::detail::RowParameter;

template <class L>
using Plain = std::remove_cvref_t<L>;

/// The type of dL/dlambda for a lambda argument of type L.
template <class T, class L>
using LambdaGradient = std::conditional_t<std::is_arithmetic_v<Plain<L>>, double, Vector<T>>;

/// A lambda argument, one number or one a row (core/numbers.hpp), checked to lie in [0, 1].
template <class T, class L>
class LambdaArgument {
 public:
  LambdaArgument(const char* function, const char* name, const L& lambda, Index n) {
    if constexpr (std::is_arithmetic_v<L>) {
      value_ = sphere::detail::one_for_all<T>(function, name, double(lambda), 0, 1);
    } else {
      each_.assign(lambda, function, name);
      value_ = sphere::detail::one_a_row<T>(function, name, each_, n, 0, 1);
    }
  }
  LambdaArgument(const LambdaArgument&) = delete;

  const RowParameter<T>& value() const { return value_; }

 private:
  struct Nothing {};

  [[no_unique_address]] std::conditional_t<std::is_arithmetic_v<L>, Nothing, core::InputNumbers<T>>
      each_;
  RowParameter<T> value_;
};

/// dL/dlambda, gathered as one number a row (null: NaN), to where it belongs: summed for one
/// lambda.
template <class Out>
void put_lambda_gradient(const char* function, const double* each, Index n, Out& out) {
  if constexpr (std::is_arithmetic_v<Out>) {
    double sum = 0;
    for (Index i = 0; i < n; ++i) sum += each ? each[i] : core::nan<double>;
    out = Out(sum);
  } else {
    sphere::detail::OutputVector<Out> to(function, "out.lambda", out, n, 1);
    for (Index i = 0; i < n; ++i)
      to.data()[i] = each ? typename Out::Scalar(each[i]) : core::nan<typename Out::Scalar>;
    to.commit();
  }
}

/// Throws unless `partners` is empty (flip: i' = n - 1 - i) or has n entries in [0, n).
inline void expects_partners(const char* function, const std::vector<Index>& partners, Index n) {
  if (partners.empty()) return;
  core::expects_size(function, "partners", Index(partners.size()), n);
  for (Index i = 0; i < n; ++i)
    core::expects(partners[std::size_t(i)] >= 0 && partners[std::size_t(i)] < n, function,
                  "partners[", i, "] is ", partners[std::size_t(i)], ", outside [0, ", n, ")");
}

inline Index partner_of(const std::vector<Index>& partners, Index n, Index i) {
  return partners.empty() ? n - 1 - i : partners[std::size_t(i)];
}

/// Calls body(first, count) over rows in chunks, in parallel when there is work enough.
template <class Body>
void over_row_chunks(Index n, Index d, const Body& body) {
  constexpr Index chunk = 64;
  core::parallel_for(
      (n + chunk - 1) / chunk, n * d < 50000 ? 1 : core::max_threads(),
      [&](Index part, int) { body(part * chunk, (std::min)(chunk, n - part * chunk)); });
}

/// out_i = mix of a_i and b_i. b and out may be one place.
template <class T>
void mix_rows(const char* function, MatrixView<const T> a, MatrixView<const T> b,
              RowParameter<T> lambda, MatrixView<T> out) {
  const Index row = sphere::detail::slerp_rows(b, a, lambda, out);
  core::expects(row < 0, function, "the two embeddings mixed in row ", row,
                " are antipodal: no unique arc joins them");
}

/// From g = dL/dm: ga, gb (g, a and b may be their places) and dL/dlambda of each row, added to
/// out_lambda.
template <class T>
void mix_rows_vjp(MatrixView<const T> a, MatrixView<const T> b, RowParameter<T> lambda,
                  MatrixView<const T> g, MatrixView<T> ga, MatrixView<T> gb, T* scratch,
                  double* out_lambda) {
  (void)sphere::detail::slerp_rows_vjp(b, a, lambda, g, gb, ga, scratch,
                                       static_cast<double*>(nullptr));
  for (Index i = 0; i < a.rows; ++i) out_lambda[i] += double(scratch[i]);
}

/// to (+)= from.
template <class T>
void put_rows(MatrixView<T> to, MatrixView<const T> from, bool add) {
  over_row_chunks(to.rows, to.cols, [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      using Row = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;
      using ConstRow = Eigen::Map<const Eigen::Array<T, 1, Eigen::Dynamic>>;
      Row row(to.row(i), to.cols);
      const ConstRow other(from.row(i), to.cols);
      if (add)
        row += other;
      else
        row = other;
    }
  });
}

/// dx_i += e_i y_i and dy_i += e_i x_i: what a pair (x_i, y_i) outside the table gives. Of a share
/// most e are 0.
template <class T>
void add_pairs(MatrixView<T> dx, MatrixView<T> dy, MatrixView<const T> x, MatrixView<const T> y,
               const double* e) {
  over_row_chunks(x.rows, x.cols, [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      if (e[i] == 0) continue;
      for (Index k = 0; k < x.cols; ++k) {
        const T xk = x(i, k), yk = y(i, k);
        dx(i, k) += T(e[i]) * yk;
        dy(i, k) += T(e[i]) * xk;
      }
    }
  });
}

}  // namespace detail
}  // namespace spheremix::losses
