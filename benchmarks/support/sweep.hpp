// The cases of a benchmark program, and the flags that choose them:
//
//   --n=256,1024 --d=512 --dtype=f32,f64 --threads=1,2 --budget=24MiB,1GiB --error-n=2048
//
// Every combination is one benchmark, named work/who/dtype/n:N/d:D/threads:T[/budget:B].
// Google Benchmark's own flags (--benchmark_filter and so on) work as ever.
#pragma once

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "spheremix/core/constants.hpp"

namespace bench {

using spheremix::Index;

struct Case {
  std::string work, who;
  Index n, d;
  bool f64;
  int threads;
  std::size_t budget;  ///< bytes of temporary memory allowed; 0: the function has no such option
  std::size_t scalar() const { return f64 ? sizeof(double) : sizeof(float); }

  std::string name() const {
    std::string s = work + "/" + who + (f64 ? "/f64" : "/f32") + "/n:" + std::to_string(n) +
                    "/d:" + std::to_string(d) + "/threads:" + std::to_string(threads);
    if (budget) s += "/budget:" + std::to_string(budget >> 20) + "MiB";
    return s;
  }
};

struct Sweep {
  std::vector<std::string> n, d = {"512"}, dtype = {"f32"}, threads = {"1"}, budget = {"1GiB"};
  Index error_n = 2048;  ///< most rows for which results are compared with f64

  explicit Sweep(std::vector<std::string> default_n) : n(std::move(default_n)) {}

  /// Takes the flags above out of argv.
  void take_flags(int& argc, char** argv) {
    int kept = 1;
    for (int i = 1; i < argc; ++i) {
      const std::string flag = argv[i];
      const auto equals = flag.find('=');
      const std::string name = flag.substr(0, equals);
      std::vector<std::string>* const list = name == "--n"         ? &n
                                             : name == "--d"       ? &d
                                             : name == "--dtype"   ? &dtype
                                             : name == "--threads" ? &threads
                                             : name == "--budget"  ? &budget
                                                                   : nullptr;
      if (equals == std::string::npos || (!list && name != "--error-n")) {
        argv[kept++] = argv[i];
        continue;
      }
      const auto values = split(flag.substr(equals + 1));
      if (list)
        *list = values;
      else
        error_n = Index(number(values.at(0)));
    }
    argc = kept;
    for (const auto& t : dtype)
      if (t != "f32" && t != "f64") refuse(t);
  }

  /// Every case of one work and who.
  std::vector<Case> cases(const std::string& work, const std::string& who, bool budgeted) const {
    std::vector<Case> all;
    for (const auto& type : dtype)
      for (const auto& rows : n)
        for (const auto& cols : d)
          for (const auto& t : threads)
            for (const auto& b : budgeted ? budget : std::vector<std::string>{"0"})
              all.push_back({work, who, Index(number(rows)), Index(number(cols)), type == "f64",
                             int(number(t)), number(b)});
    return all;
  }

 private:
  static std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts{""};
    for (const char c : list) {
      if (c == ',')
        parts.emplace_back();
      else
        parts.back() += c;
    }
    return parts;
  }

  /// 4096, 24MiB, 1GiB.
  static std::size_t number(const std::string& text) {
    char* end = nullptr;
    const std::size_t value = std::strtoull(text.c_str(), &end, 10);
    const std::string unit = end;
    if (end == text.c_str()) refuse(text);
    if (unit == "KiB") return value << 10;
    if (unit == "MiB") return value << 20;
    if (unit == "GiB") return value << 30;
    if (!unit.empty()) refuse(text);
    return value;
  }

  [[noreturn]] static void refuse(const std::string& text) {
    std::cerr << "not understood: " << text << "\n";
    std::exit(2);
  }
};

}  // namespace bench
