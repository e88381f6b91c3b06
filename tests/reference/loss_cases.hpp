// Calls the loss that a recorded case names, with the case's options, and gathers its results under
// fixed names. The caller includes the losses' headers first.
#pragma once

#include "reference/reference.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/l_mix.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/losses/m3_mix.hpp"
#include "spheremix/losses/v_mix.hpp"
#include "spheremix/losses/vl_mix.hpp"

namespace reference {

/// Value, and loss and gradients, of one case.
template <class T>
struct LossResult {
  double value = 0, loss = 0, log_temperature = 0, log_mix_temperature = 0;
  RowMatrix<T> x, y;
  std::vector<double> lambda[4];
};

inline double total_weight(const Case& c) {
  if (c.function == "m3_mix")
    return c.number("weight_m2") + c.number("weight_v") + c.number("weight_l") +
           c.number("weight_vl");
  double weight = c.has("reduction") && c.text("reduction") == "sum" ? 2 : 1;
  if (c.function == "clip_m2_mix") weight = 1 + weight * c.number("weight");
  if (c.function == "vl_mix" && c.text("targets") == "released") weight = 2;
  return weight;
}

inline std::vector<double> as_list(double lambda) { return {lambda}; }
template <class Derived>
std::vector<double> as_list(const Eigen::MatrixBase<Derived>& lambda) {
  std::vector<double> out;
  for (Index i = 0; i < lambda.size(); ++i) out.push_back(double(lambda(i)));
  return out;
}

template <class T>
LossResult<T> evaluate(const Case& c, const RowMatrix<T>& x, const RowMatrix<T>& y) {
  namespace losses = spheremix::losses;
  LossResult<T> out;
  const auto keep = [&](double value, const auto& g) {
    out.value = value;
    out.loss = g.loss;
    out.x = g.x;
    out.y = g.y;
    out.log_temperature = g.log_temperature;
    if constexpr (requires { g.log_mix_temperature; })
      out.log_mix_temperature = g.log_mix_temperature;
    if constexpr (requires { g.lambda.m2; }) {
      out.lambda[0] = as_list(g.lambda.m2);
      out.lambda[1] = as_list(g.lambda.v);
      out.lambda[2] = as_list(g.lambda.l);
      out.lambda[3] = as_list(g.lambda.vl);
    } else if constexpr (requires { g.lambda; }) {
      out.lambda[0] = as_list(g.lambda);
    }
  };
  const double tau = c.number("tau");
  std::vector<Index> partners;
  if (c.values.count("partners"))
    for (double p : c.array("partners")) partners.push_back(Index(p));

  const auto mixed = [&](const auto& lambda) {  // lambda a number, or a vector with one a row
    const std::string& f = c.function;
    if (f == "m2_mix" || f == "clip_m2_mix") {
      const auto reduction =
          c.text("reduction") == "sum" ? losses::Reduction::sum : losses::Reduction::mean;
      const auto negatives =
          c.text("negatives") == "append" ? losses::Negatives::append : losses::Negatives::replace;
      if (f == "m2_mix")
        keep(losses::m2_mix(x, y, lambda,
                            {.temperature = tau, .reduction = reduction, .negatives = negatives}),
             losses::m2_mix_with_gradient(
                 x, y, lambda,
                 {.temperature = tau, .reduction = reduction, .negatives = negatives}));
      else
        keep(losses::clip_m2_mix(x, y, lambda,
                                 {.temperature = tau,
                                  .mix_temperature = c.number("mix_tau"),
                                  .weight = c.number("weight"),
                                  .reduction = reduction,
                                  .negatives = negatives}),
             losses::clip_m2_mix_with_gradient(x, y, lambda,
                                               {.temperature = tau,
                                                .mix_temperature = c.number("mix_tau"),
                                                .weight = c.number("weight"),
                                                .reduction = reduction,
                                                .negatives = negatives}));
    } else if (f == "v_mix") {
      keep(losses::v_mix(x, y, lambda, {.temperature = tau, .partners = partners}),
           losses::v_mix_with_gradient(x, y, lambda, {.temperature = tau, .partners = partners}));
    } else if (f == "l_mix") {
      keep(losses::l_mix(x, y, lambda, {.temperature = tau, .partners = partners}),
           losses::l_mix_with_gradient(x, y, lambda, {.temperature = tau, .partners = partners}));
    } else {
      const auto targets = c.text("targets") == "released" ? losses::VlTargets::released
                                                           : losses::VlTargets::identity;
      keep(losses::vl_mix(x, y, lambda,
                          {.temperature = tau, .targets = targets, .partners = partners}),
           losses::vl_mix_with_gradient(
               x, y, lambda, {.temperature = tau, .targets = targets, .partners = partners}));
    }
  };

  if (c.function == "info_nce") {
    keep(losses::info_nce(x, y, {.temperature = tau}),
         losses::info_nce_with_gradient(x, y, {.temperature = tau}));
  } else if (c.function == "clip") {
    keep(losses::clip(x, y, {.temperature = tau}),
         losses::clip_with_gradient(x, y, {.temperature = tau}));
  } else if (c.function == "m3_mix") {
    std::vector<double> l(4);
    if (c.values.count("lambda"))
      l = c.array("lambda");
    else
      l = {c.array("lambda_m2")[0], c.array("lambda_v")[0], c.array("lambda_l")[0],
           c.array("lambda_vl")[0]};
    const losses::MixLambdas lambdas{l[0], l[1], l[2], l[3]};
    const double mix_tau = c.number("mix_tau"), m2 = c.number("weight_m2"),
                 v = c.number("weight_v"), text = c.number("weight_l"), vl = c.number("weight_vl");
    keep(losses::m3_mix(x, y, lambdas,
                        {.temperature = tau,
                         .mix_temperature = mix_tau,
                         .weight_m2 = m2,
                         .weight_v = v,
                         .weight_l = text,
                         .weight_vl = vl,
                         .partners = partners}),
         losses::m3_mix_with_gradient(x, y, lambdas,
                                      {.temperature = tau,
                                       .mix_temperature = mix_tau,
                                       .weight_m2 = m2,
                                       .weight_v = v,
                                       .weight_l = text,
                                       .weight_vl = vl,
                                       .partners = partners}));
  } else if (c.has("rows")) {
    spheremix::Vector<T> lambda(x.rows());
    for (Index i = 0; i < x.rows(); ++i) lambda(i) = T(c.array("lambda")[std::size_t(i)]);
    mixed(lambda);
  } else {
    mixed(c.array("lambda")[0]);
  }
  return out;
}

/// The largest error of the gradients with respect to lambda.
template <class T>
double lambda_error(const Case& c, const LossResult<T>& got) {
  const auto error = [](const std::vector<double>& g, const std::vector<double>& want) {
    return largest_difference({g.begin(), g.end()}, want);
  };
  if (c.function != "m3_mix") return error(got.lambda[0], c.array("dlambda"));
  std::vector<double> all, want;
  for (const auto& l : got.lambda) all.insert(all.end(), l.begin(), l.end());
  if (c.values.count("dlambda")) return error(all, c.array("dlambda"));
  for (const char* name : {"dlambda_m2", "dlambda_v", "dlambda_l", "dlambda_vl"})
    want.push_back(c.array(name)[0]);
  return error(all, want);
}

}  // namespace reference
