// The terminal: text that cannot steer it, progress on standard error, standard output that says when
// it could not be written, signals that end the program as a shell expects.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "progress.hpp"

namespace analyze {

/// One line of text for a terminal or a pipe. Control characters, marks that turn the direction of
/// writing and bytes that are no UTF-8 come as \n, \u{202e} and \xff. Where `letters` is false, so do
/// all letters beyond ASCII; the tool's own signs have spellings there.
inline std::string harmless(std::string_view text, bool letters) {
  std::string out;
  const auto escape = [&](const char* format, unsigned value) {
    char shown[16];
    std::snprintf(shown, sizeof shown, format, value);
    out += shown;
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = byte < 0x80                   ? 1
                               : byte >= 0xc2 && byte < 0xe0 ? 2
                               : byte >= 0xe0 && byte < 0xf0 ? 3
                               : byte >= 0xf0 && byte < 0xf5 ? 4
                                                             : 0;
    unsigned code = length < 2 ? byte : byte & (0x7fu >> length);
    bool valid = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; valid && k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      valid = (next & 0xc0) == 0x80;
      code = code << 6 | (next & 0x3fu);
    }
    valid = valid && !(length == 3 && code < 0x800) && !(length == 4 && code < 0x10000) &&
            code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    if (!valid) {
      escape("\\x%02x", byte);
      ++i;
      continue;
    }
    const bool steers = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c ||
                        code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
                        (code >= 0x2066 && code <= 0x2069) || code == 0xfeff ||
                        (code >= 0xfff9 && code <= 0xfffb);
    if (code == '\n')
      out += "\\n";
    else if (code == '\t')
      out += "\\t";
    else if (steers)
      escape(code < 0x100 ? "\\x%02x" : "\\u{%x}", code);
    else if (code < 0x80 || letters)
      out += text.substr(i, length);
    else if (code == 0x2212 || code == 0x2013)
      out += "-";
    else if (code == 0x2265)
      out += ">=";
    else if (code == 0x2264)
      out += "<=";
    else if (code == 0x2192)
      out += "->";
    else if (code == 0xd7)
      out += "x";
    else
      escape("\\u{%x}", code);
    i += length;
  }
  return out;
}

/// Whether the stream is a terminal that shows more than ASCII.
inline bool shows_letters(int descriptor) {
  if (::isatty(descriptor) != 1) return false;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    return std::strstr(value, "UTF-8") != nullptr || std::strstr(value, "utf8") != nullptr ||
           std::strstr(value, "utf-8") != nullptr;
  }
  return false;
}

/// Lines of text, each made harmless.
inline std::string harmless_lines(const std::string& text, int descriptor) {
  const bool letters = shows_letters(descriptor);
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += harmless(std::string_view(text).substr(begin, end - begin), letters) + "\n";
    begin = end + 1;
  }
  return out;
}

/// What the program has to say ends here. Throws where standard output cannot take it; a reader that
/// went away ends the program as it ends every other one of a pipeline.
inline void print(const std::string& text, int descriptor = 1) {
  const std::string shown = harmless_lines(text, descriptor);
  for (std::size_t put = 0; put < shown.size();) {
    const ssize_t n = ::write(descriptor, shown.data() + put, shown.size() - put);
    if (n >= 0) {
      put += std::size_t(n);
    } else if (errno == EPIPE) {
      std::signal(SIGPIPE, SIG_DFL);
      std::raise(SIGPIPE);
    } else if (errno != EINTR) {
      throw std::runtime_error(std::string("standard output: cannot be written: ") +
                               std::strerror(errno));
    }
  }
}

/// One sentence on standard error.
inline void complain(const std::string& sentence) {
  const std::string line =
      "spheremix-analyze: " + harmless(sentence, shows_letters(STDERR_FILENO)) + "\n";
  std::fputs(line.c_str(), stderr);
}

/// Progress on standard error: one rewritten line with rate and time left on a terminal, whole lines
/// when piped.
class ProgressLine {
 public:
  ProgressLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }

  Progress::Watch watch() {
    return [this](const Progress::State& s) { show(s); };
  }

  void clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  void show(const Progress::State& s) {
    const std::string what = harmless(s.what, shows_letters(STDERR_FILENO));
    if (s.begins) {
      clear();
      shown_ = 0;
      if (!terminal_) std::fprintf(stderr, "%s\n", what.c_str());
      return;
    }
    if (s.seconds - shown_ < (terminal_ ? 0.2 : 10)) return;
    shown_ = s.seconds;
    const double rate = s.done / s.seconds;
    const auto left = long(rate > 0 ? (s.total - s.done) / rate + 0.5 : 0);
    std::fprintf(stderr,
                 terminal_ ? "\r\033[K%s: %.0f %%, %.3g %s a second, %ld:%02ld left"
                           : "%s: %.0f %%, %.3g %s a second, %ld:%02ld left\n",
                 what.c_str(), 100 * s.done / s.total, rate, s.unit.c_str(), left / 60, left % 60);
    std::fflush(stderr);
    drawn_ = terminal_;
  }

  const bool terminal_;
  double shown_ = 0;
  bool drawn_ = false;
};

/// Ctrl-C and its kin ask the work to stop; a vanished reader and a full file are errors of a write.
inline void take_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {
    }, now{};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;  // nohup, a shell's background
    now.sa_handler = [](int number) { interrupt_asked = number; };
    ::sigaction(signal, &now, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (const int stream : {0, 1, 2})  // a closed one must not become the number of a file
    if (::fcntl(stream, F_GETFD) == -1)
      (void)!::open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
}

/// Ends as the signal would have ended the program.
[[noreturn]] inline void end_by(int signal) {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  std::_Exit(128 + signal);
}

}  // namespace analyze
