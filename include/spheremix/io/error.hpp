// The one exception of io/: a file that cannot be read or written as asked. The message starts with
// the file's name and says what was found and what was expected.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace spheremix::io {

/// "img.npy: 100 bytes of data where shape (3, 4) of f8 needs 96". Wrong arguments of the caller's
/// own (a row range past the end) are std::invalid_argument, as everywhere in the library.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

template <class... Parts>
[[noreturn]] void fail(const std::string& file, const Parts&... parts) {
  std::ostringstream message;
  message.precision(17);
  message << file << ": ";
  (message << ... << parts);
  throw Error(message.str());
}

}  // namespace detail
}  // namespace spheremix::io
