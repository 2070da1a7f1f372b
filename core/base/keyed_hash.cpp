#include "core/base/keyed_hash.hpp"

#include <atomic>
#include <bit>
#include <cstring>

namespace wsr {
namespace {

// Two words: who sets the key while another thread makes a table decides nothing for that table.
std::atomic<std::uint64_t> key_low{0x0706050403020100};
std::atomic<std::uint64_t> key_high{0x0F0E0D0C0B0A0908};

struct State {
  std::uint64_t v0, v1, v2, v3;
  void round() {
    v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
    v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
    v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    round();
    v0 ^= word;
  }
};

std::uint64_t little_endian(std::uint64_t word) {
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

}  // namespace

void set_hash_key(HashKey key) {
  key_low.store(key.low, std::memory_order_relaxed);
  key_high.store(key.high, std::memory_order_relaxed);
}

HashKey hash_key() { return {key_low.load(std::memory_order_relaxed), key_high.load(std::memory_order_relaxed)}; }

std::uint64_t siphash13(HashKey key, std::string_view text) {
  State state{key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d, key.low ^ 0x6c7967656e657261,
              key.high ^ 0x7465646279746573};
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    state.take(little_endian(word));
  }
  // The rest without a loop: from the last eight bytes, those that have been taken shifted out; or byte by byte.
  std::uint64_t last = 0;
  if (left != 0 && text.size() >= 8) {
    std::memcpy(&last, at + left - 8, sizeof last);
    last = little_endian(last) >> (8 * (8 - left));
  } else {
    for (std::size_t i = 0; i < left; ++i) last |= std::uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
  }
  state.take(last | static_cast<std::uint64_t>(text.size()) << 56);
  state.v2 ^= 0xFF;
  state.round();
  state.round();
  state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace wsr
