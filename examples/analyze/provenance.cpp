#include "provenance.hpp"

#include <ctime>
#include <filesystem>

#include "bytes.hpp"
#include "sha256.hpp"

namespace analyze {

std::string shared_name(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty() || path[0] != '/' || path.rfind("/dev/", 0) == 0) return path;
  std::error_code ignored;
  const fs::path below = fs::path(path).lexically_relative(fs::current_path(ignored));
  const std::string text = below.string();
  if (!text.empty() && text.rfind("..", 0) != 0) return text;
  const std::string last = fs::path(path).filename().string();
  return last.empty() ? fs::path(path).parent_path().filename().string() : last;
}

std::string shared_command(const std::vector<std::string>& words) {
  std::string text;
  for (std::string word : words) {
    // "--json=/a/b", "name=/a/b", "name=/a/b,/a/c" and "/a/b:column" hold a path
    const std::size_t begin = word.rfind('/', 0) == 0 ? 0 : word.find("=/");
    if (begin != std::string::npos) {
      std::size_t from = begin == 0 ? 0 : begin + 1;
      std::string shared = word.substr(0, from);
      for (std::size_t next; from < word.size(); from = next) {
        next = std::min(word.find(",/", from), word.size());
        shared += shared_name(word.substr(from, next - from));
        if (next < word.size()) shared += word[next++];
      }
      word = shared;
    }
    const bool plain =
        !word.empty() && word.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "@%+=:,./_-") == std::string::npos;
    std::string quoted;
    if (!plain) quoted += '\'';
    for (const char c : word) {
      if (c == '\'') quoted += "'\\'";  // the quotes end, and begin again after it
      quoted += c;
    }
    if (!plain) quoted += '\'';
    if (!text.empty()) text += ' ';
    text += quoted;
  }
  return text;
}

Json described_file(const std::string& path) {
  Json json{{"name", shared_name(path)}};
  std::error_code ignored;
  if (path == "-" || !std::filesystem::is_regular_file(path, ignored)) return json;
  const Bytes bytes(path);
  Sha256 sum;
  ByteVector block(1 << 20);
  for (Index first = 0; first < bytes.size();) {
    const Index count = std::min<Index>(Index(block.size()), bytes.size() - first);
    bytes.read(first, count, block.data());
    sum.add(block.data(), at(count));
    first += count;
    stop_if_asked();
  }
  json["bytes"] = bytes.size();
  json["sha256"] = sum.hex();
  return json;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace analyze
