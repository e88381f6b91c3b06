// What a call says as it refuses its arguments.
#pragma once

#include <stdexcept>
#include <string>

namespace spheremix::test {

/// The message of the std::invalid_argument that body() throws; empty where it throws nothing.
template <class Body>
std::string refusal(const Body& body) {
  try {
    body();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace spheremix::test
