// SHA-256, so that a report says which files it was made from and `sha256sum` can check it.
//
//   eight words h; for each 64 bytes: 64 rounds over h with the schedule w, then h += the rounds' words
//
// Sixty lines of our own: a cryptographic library would be the only one the program needs.
// [FIPS 180-4, section 6.2]
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>

namespace analyze {

class Sha256 {
 public:
  void add(const unsigned char* bytes, std::size_t count) {
    length_ += count;
    std::size_t i = 0;
    while (i < count) {
      if (used_ == 0 && count - i >= 64) {
        take(bytes + i);
        i += 64;
        continue;
      }
      block_[used_++] = bytes[i++];
      if (used_ == 64) {
        take(block_.data());
        used_ = 0;
      }
    }
  }

  std::string hex() {
    const std::uint64_t bits = 8 * length_;
    const unsigned char mark = 0x80, zero = 0;
    add(&mark, 1);
    while (used_ != 56) add(&zero, 1);
    for (int i = 7; i >= 0; --i) {
      const auto byte = static_cast<unsigned char>(bits >> (8 * i));
      add(&byte, 1);
    }
    std::string text;
    for (const std::uint32_t word : h_)
      for (int i = 28; i >= 0; i -= 4) text += "0123456789abcdef"[word >> i & 15];
    return text;
  }

 private:
  void take(const unsigned char* from) {
    static constexpr std::array<std::uint32_t, 64> k = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    std::array<std::uint32_t, 16> w{};  // the schedule's last 16 words
    for (std::size_t t = 0; t < 16; ++t)
      for (std::size_t b = 0; b < 4; ++b) w[t] = w[t] << 8 | from[4 * t + b];
    const auto turned = [](std::uint32_t x, int n) { return std::rotr(x, n); };
    auto [a, b, c, d, e, f, g, h] = h_;
    for (std::size_t begin = 0; begin < 64; begin += 16)
      for (std::size_t t = 0; t < 16; ++t) {
        if (begin > 0) {
          const std::uint32_t x = w[(t + 1) % 16], y = w[(t + 14) % 16];
          w[t] += (turned(x, 7) ^ turned(x, 18) ^ x >> 3) + w[(t + 9) % 16] +
                  (turned(y, 17) ^ turned(y, 19) ^ y >> 10);
        }
        const std::uint32_t one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) +
                                  (g ^ (e & (f ^ g))) + k[begin + t] + w[t];
        const std::uint32_t two =
            (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) | (c & (a | b)));
        h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
      }
    const std::array<std::uint32_t, 8> more = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) h_[i] += more[i];
  }

  std::array<std::uint32_t, 8> h_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> block_{};
  std::size_t used_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace analyze
