// Slerp of the rows of two views, and its pullback: what sphere/slerp.hpp, sphere/slerp_rows.hpp
// and mixup/geodesic.hpp run. Formulas in math/arc_maps.hpp.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "spheremix/sphere/detail/arc_rows.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::sphere::detail {

/// out_i = slerp(a_i, b_i, t_i). Returns the first antipodal row or -1.
template <class T>
[[nodiscard]] Index slerp_rows(core::MatrixView<const T> a, core::MatrixView<const T> b,
                               RowParameter<T> t, core::MatrixView<T> out) {
  const Index d = a.cols;
  return first_undefined(a.rows, d, [=](Index i) {
    const T *x = a.row(i), *y = b.row(i);
    const math::Arc<T> arc = arc_between(x, y, d);
    if (arc.antipodal) return false;
    const T ti = t[i];
    math::ArcVector<T> m = math::arc_slerp(arc, ti);
    if (arc.theta ==
        arc.theta) {  // the end points exactly: (S - D)/2 would round where |a| and |b| differ
      const T* exact = ti == 1 ? y : ti == 0 || arc.coincident ? x : nullptr;
      if (exact) {
        if (exact != out.row(i)) std::copy_n(exact, d, out.row(i));
        return true;
      }
    }
    write_arc_vector(m, x, y, out.row(i), d);
    return true;
  });
}

/// Pullbacks to a, b and t; one dL/dt a row to out_t where given, else their sum to *total_t.
template <class T>
[[nodiscard]] Index slerp_rows_vjp(core::MatrixView<const T> a, core::MatrixView<const T> b,
                                   RowParameter<T> t, core::MatrixView<const T> g,
                                   core::MatrixView<T> out_a, core::MatrixView<T> out_b, T* out_t,
                                   double* total_t) {
  const Index d = a.cols;
  double part[kMaxChunks] = {};
  std::atomic<Index> first{a.rows};
  over_chunks(a.rows, d, [&](Index chunk, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const T *x = a.row(i), *y = b.row(i);
      const auto [arc, gs, gd] = arc_and_cotangent(x, y, g.row(i), d);
      if (arc.antipodal) {
        lower_to(first, i);
        return;
      }
      const math::ArcGradient<T> w = math::arc_slerp_vjp(arc, t[i], gs, gd);
      write_arc_gradient(w, x, y, g.row(i), out_a.row(i), out_b.row(i), d);
      if (out_t)
        out_t[i] = w.t;
      else
        part[chunk] += double(w.t);
    }
  });
  if (total_t) {
    *total_t = 0;
    for (double p : part) *total_t += p;
  }
  return first.load() < a.rows ? first.load() : -1;
}

inline void expects_no_antipodal_row(const char* function, const char* a, const char* b,
                                     Index row) {
  core::expects(row < 0, function, "row ", row, " of ", b, " is antipodal to row ", row, " of ", a,
                ": no unique arc joins them");
}

inline void expects_not_antipodal(const char* function, const char* a, const char* b, Index row) {
  core::expects(row < 0, function, b, " is antipodal to ", a, ": no unique arc joins them");
}

/// Every check and adaptor of a slerp of rows, for the functions of sphere/ and mixup/ alike: a at
/// t = 0, b at 1.
template <class T, class Out>
void run_slerp_rows(const char* function, const char* a_name, const char* b_name,
                    core::MatrixView<const T> a, core::MatrixView<const T> b, RowParameter<T> t,
                    Out& out) {
  core::expects_out<T, Out>();
  core::OutputRows<Out> m(function, "out", out, a.rows, a.cols);
  core::expects_in_place_or_apart(function, m.view(), a);
  core::expects_in_place_or_apart(function, m.view(), b);
  expects_no_antipodal_row(function, a_name, b_name, slerp_rows(a, b, t, m.view()));
  m.commit();
}

/// The same for the pullback; each_t is null for one t.
template <class T, class OutA, class OutB>
void run_slerp_rows_vjp(const char* function, const char* a_name, const char* b_name,
                        core::MatrixView<const T> a, core::MatrixView<const T> b, RowParameter<T> t,
                        core::MatrixView<const T> g, OutA& out_a, OutB& out_b, T* each_t,
                        double* total_t) {
  core::expects_out<T, OutA, OutB>();
  core::OutputRows<OutA> ga(function, "out's first gradient", out_a, a.rows, a.cols);
  core::OutputRows<OutB> gb(function, "out's second gradient", out_b, a.rows, a.cols);
  for (const auto& in : {a, b, g}) {
    core::expects_in_place_or_apart(function, ga.view(), in);
    core::expects_in_place_or_apart(function, gb.view(), in);
  }
  core::expects_apart(function, ga.view(), gb.view());
  expects_no_antipodal_row(function, a_name, b_name,
                           slerp_rows_vjp(a, b, t, g, ga.view(), gb.view(), each_t, total_t));
  ga.commit();
  gb.commit();
}

}  // namespace spheremix::sphere::detail

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::sphere::detail {
#define SPHEREMIX_SLERP_ROWS(T)                                                           \
  Index slerp_rows(core::MatrixView<const T>, core::MatrixView<const T>, RowParameter<T>, \
                   core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SLERP_ROWS)
#define SPHEREMIX_SLERP_ROWS_VJP(T)                                                             \
  Index slerp_rows_vjp(core::MatrixView<const T>, core::MatrixView<const T>, RowParameter<T>,   \
                       core::MatrixView<const T>, core::MatrixView<T>, core::MatrixView<T>, T*, \
                       double*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SLERP_ROWS_VJP)
}  // namespace spheremix::sphere::detail
