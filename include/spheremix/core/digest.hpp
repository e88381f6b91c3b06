// A number that stands for a struct of options: processes compare it before they compute together.
//
// Numbers and enums count, in the order of the fields; so do structs of such fields. Containers are
// left out: they belong to the rank's own rows.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace spheremix::core {

namespace detail {

/// Stands for any field while the fields of an aggregate are counted.
struct AnyField {
  template <class T>
  operator T&() const&;  // never defined
  template <class T>
  operator T&&() const&&;
};

template <class A, class... Fields>
constexpr std::size_t field_count() {
  if constexpr (sizeof...(Fields) > 14)
    return 0;
  else if constexpr (requires { A{Fields{}..., AnyField{}}; })
    return field_count<A, Fields..., AnyField>();
  else
    return sizeof...(Fields);
}

}  // namespace detail

/// FNV-1a over the values that are added.
class Digest {
 public:
  std::uint64_t value() const { return hash_; }

  template <class A>
  void add(const A& a) {
    if constexpr (std::is_enum_v<A>) {
      add(static_cast<std::int64_t>(a));
    } else if constexpr (std::is_arithmetic_v<A>) {
      unsigned char bytes[sizeof(A)];
      std::memcpy(bytes, &a, sizeof(A));
      for (const unsigned char byte : bytes) hash_ = (hash_ ^ byte) * 1099511628211u;
    } else if constexpr (std::is_aggregate_v<A> && !std::is_array_v<A>) {
      add_fields(a);
    }
  }

 private:
  template <class... F>
  void add_all(const F&... fields) {
    (add(fields), ...);
  }
  template <class A>
  void add_fields(const A& a) {
    constexpr std::size_t count = detail::field_count<A>();
    if constexpr (count == 1) {
      const auto& [f1] = a;
      add_all(f1);
    } else if constexpr (count == 2) {
      const auto& [f1, f2] = a;
      add_all(f1, f2);
    } else if constexpr (count == 3) {
      const auto& [f1, f2, f3] = a;
      add_all(f1, f2, f3);
    } else if constexpr (count == 4) {
      const auto& [f1, f2, f3, f4] = a;
      add_all(f1, f2, f3, f4);
    } else if constexpr (count == 5) {
      const auto& [f1, f2, f3, f4, f5] = a;
      add_all(f1, f2, f3, f4, f5);
    } else if constexpr (count == 6) {
      const auto& [f1, f2, f3, f4, f5, f6] = a;
      add_all(f1, f2, f3, f4, f5, f6);
    } else if constexpr (count == 7) {
      const auto& [f1, f2, f3, f4, f5, f6, f7] = a;
      add_all(f1, f2, f3, f4, f5, f6, f7);
    } else if constexpr (count == 8) {
      const auto& [f1, f2, f3, f4, f5, f6, f7, f8] = a;
      add_all(f1, f2, f3, f4, f5, f6, f7, f8);
    } else if constexpr (count == 9) {
      const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9] = a;
      add_all(f1, f2, f3, f4, f5, f6, f7, f8, f9);
    } else if constexpr (count == 10) {
      const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = a;
      add_all(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10);
    } else if constexpr (count == 11) {
      const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = a;
      add_all(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11);
    } else if constexpr (count == 12) {
      const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = a;
      add_all(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12);
    } else {
      static_assert(count == 0 && std::is_empty_v<A>, "spheremix: options of up to twelve fields");
    }
  }

  std::uint64_t hash_ = 14695981039346656037u;
};

/// Options and one number more, where `a` is a number: it counts as one of them.
template <class Options, class A>
auto also(const Options& options, const A& a) {
  struct Both {
    std::uint64_t options, number;
  };
  Digest one, two;
  one.add(options);
  two.add(a);
  return Both{one.value(), two.value()};
}

/// A list that counts as options do, though it is a container.
template <class List>
auto listed(const List& list) {
  struct All {
    std::uint64_t all;
  };
  Digest digest;
  for (const auto& one : list) digest.add(one);
  return All{digest.value()};
}

template <class... A>
std::uint64_t digest_of(const A&... a) {
  Digest digest;
  (digest.add(a), ...);
  return digest.value();
}

}  // namespace spheremix::core
