// Where the project lies, for tests that read its files. Only tests/main.cpp is compiled with the path, so that
// a compiler's cache knows the other objects again in another clone.
#pragma once

#include <string>

namespace spheremix::test {

std::string source_dir();

}  // namespace spheremix::test
