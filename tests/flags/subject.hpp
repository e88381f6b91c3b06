// What a program compiled with any flags is asked, and a program compiled with none answers for:
// numbers only, no type of the library, so that the two units share no inline code.
#pragma once

#include <string>
#include <vector>

struct Answer {
  std::string name;
  std::vector<double> numbers;
};

/// n pairs of unit rows of width d. x, y: far apart; near: x turned by about 1e-3 (float) or 1e-4 (double);
/// weight: n mixing weights.
template <class T>
struct Rows {
  int n, d;
  const T *x, *y, *near, *weight;
};

std::vector<Answer> answers(const Rows<float>& rows);
std::vector<Answer> answers(const Rows<double>& rows);
/// The mean of n distances.
double long_mean(const double* distances, int n);
