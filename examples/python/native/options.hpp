// The library's options as keyword arguments: names, types and default values are those of the C++ struct, which is
// asked for its defaults.
//
//   const auto tau = FIELD(ClipOptions, temperature);
//   m.def("clip", [=](Arg x, Arg y, Given<double> given) {
//     const auto options = options_of<ClipOptions>("clip", setting(tau, given)); ...
//   }, nb::arg("x"), nb::arg("y"), nb::kw_only(), default_of(tau))
//
// An enum is its own value or the name of one, a list of indices any sequence of whole numbers or None.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>

#include "array.hpp"
#include "spheremix/formula/targets.hpp"

namespace spheremix::python {

/// Names and values of an enum: specialised where it is bound.
template <class E>
struct EnumNames;

/// An enum argument: a value of its class, or a name.
template <class E>
struct Choice {
  nb::handle value;
};

template <class M>
struct GivenAs {
  using type = M;
};
template <class M>
requires std::is_enum_v<M>
struct GivenAs<M> {
  using type = Choice<M>;
};
template <>
struct GivenAs<std::vector<Index>> {
  using type = IndexArg;
};
template <>
struct GivenAs<std::vector<double>> {
  using type = Arg;
};
template <>
struct GivenAs<std::optional<losses::Targets>> {
  using type = TargetsArg;
};
template <class M>
using Given = typename GivenAs<M>::type;

template <class Options, class M>
struct Field {
  const char* name;
  M Options::*member;
};
template <class Options, class M>
constexpr Field<Options, M> field(const char* name, M Options::*member) {
  return {name, member};
}
#define FIELD(OPTIONS, NAME) field(#NAME, &OPTIONS::NAME)

/// Where a function has none.
struct NoOptions {};

template <class T>
using Map = Eigen::Map<RowMatrix<T>>;

/// New arrays of the size of `rows`, of x's type and kind.
inline Output like(const Rows& x, const Rows& rows) {
  return Output(x.kind(), x.is_double(), rows.rows(), rows.cols());
}
inline Output like(const Rows& x) { return like(x, x); }
/// One number a row.
inline Output vector_of(const Rows& x) {
  return Output(x.kind(), x.is_double(), {std::size_t(x.rows())});
}

/// One index or several.
inline std::vector<Index> index_list(const char* function, const char* name, nb::handle from) {
  if (from.is_none()) return {};
  if (PyLong_Check(from.ptr())) return {nb::cast<Index>(from)};
  if ((nb::isinstance<nb::list>(from) || nb::isinstance<nb::tuple>(from)) && nb::len(from) == 0)
    return {};
  return Numbers(function, name, from).indices();
}

template <class E>
E chosen(const char* function, const char* name, nb::handle from) {
  std::string all;
  if (nb::isinstance<nb::str>(from)) {
    const auto word = nb::cast<std::string>(nb::str(from));
    for (const auto& [known, value] : EnumNames<E>::all) {
      if (word == known) return value;
      all += all.empty() ? known : std::string(", ") + known;
    }
    value_error(function, std::string(name) + " is \"" + word + "\", not one of " + all);
  }
  E value;
  if (!nb::try_cast(from, value, false))
    type_error(function, std::string(name) + " is neither the name nor a value of that enum");
  return value;
}

/// Targets, and the array that soft ones are read from.
struct HeldTargets {
  losses::Targets targets;
  std::shared_ptr<const Rows> rows{};
};

/// The Targets behind an argument; null: None.
inline const losses::Targets* targets_of(const char* function, const char* name, nb::handle from) {
  if (from.is_none()) return nullptr;
  if (!nb::isinstance<HeldTargets>(from))
    type_error(function, std::string(name) + " is not made by ids, pairs or soft; options are keywords, as in temperature=0.1");
  return &nb::cast<const HeldTargets*>(from)->targets;
}

template <class M>
M given_value(const char* function, const char* name, const Given<M>& given) {
  if constexpr (std::is_enum_v<M>)
    return chosen<M>(function, name, given.value);
  else if constexpr (std::is_same_v<M, std::vector<Index>>)
    return index_list(function, name, given.value);
  else if constexpr (std::is_same_v<M, std::vector<double>>)
    return given.value.is_none() ? M{} : Numbers(function, name, given.value).reals();
  else if constexpr (std::is_same_v<M, std::optional<losses::Targets>>) {
    const losses::Targets* const targets = targets_of(function, name, given.value);
    return targets ? M{*targets} : M{};
  } else
    return given;
}

/// An option and what a call gives for it.
template <class Options, class M>
struct Setting {
  const Field<Options, M>& field;
  const Given<M>& given;
};
template <class Options, class M>
Setting<Options, M> setting(const Field<Options, M>& field, const Given<M>& given) {
  return {field, given};
}

/// The options of a call: options_of<Options>(function, setting(fields, given)...).
template <class Options, class... M>
Options options_of(const char* function, const Setting<Options, M>&... all) {
  Options options;
  ((options.*all.field.member = given_value<M>(function, all.field.name, all.given)), ...);
  return options;
}

/// nb::arg(name) = the struct's default.
template <class Options, class M>
auto default_of(const Field<Options, M>& field) {
  const Options defaults{};
  const M& value = defaults.*field.member;
  if constexpr (std::is_enum_v<M>) {
    const char* name = "";
    for (const auto& [known, e] : EnumNames<M>::all)
      if (e == value) name = known;
    return nb::arg(field.name) = name;
  } else if constexpr (std::is_same_v<M, std::vector<double>> ||
                       std::is_same_v<M, std::optional<losses::Targets>>) {
    return nb::arg(field.name).none() = nb::none();
  } else if constexpr (std::is_same_v<M, std::vector<Index>>) {
    nb::object list = nb::none();
    if (!value.empty()) {
      list = nb::list();
      for (const Index i : value) list.attr("append")(i);
      list = nb::tuple(list);
    }
    return nb::arg(field.name).none() = list;
  } else {
    return nb::arg(field.name) = value;
  }
}

/// Calls define(keywords...) with what m.def takes for these options.
template <class Define, class... F>
void with_keywords(const Define& define, const F&... fields) {
  if constexpr (sizeof...(F) > 0)
    define(nb::kw_only(), default_of(fields)...);
  else
    define();
}

/// The enum's class in the module.
template <class E>
void bind_enum(nb::module_& m, const char* name, const char* doc) {
  nb::enum_<E> bound(m, name, doc);
  for (const auto& [known, value] : EnumNames<E>::all) bound.value(known, value);
}

}  // namespace spheremix::python

namespace nanobind::detail {
template <class E>
struct type_caster<spheremix::python::Choice<E>> {
  NB_TYPE_CASTER(spheremix::python::Choice<E>, const_name("str | ") + make_caster<E>::Name)
  template <class Flags>
  bool from_python(handle src, Flags, cleanup_list*) noexcept {
    value.value = src;
    return true;
  }
};
}  // namespace nanobind::detail
