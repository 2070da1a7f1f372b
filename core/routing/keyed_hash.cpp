#include "core/routing/keyed_hash.hpp"

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
  std::uint64_t last = 0;
  // The rest in at most three reads, not in seven.
  unsigned shift = 0;
  const auto add = [&](auto part) {
    std::memcpy(&part, at, sizeof part);
    std::uint64_t wide = part;
    if constexpr (std::endian::native == std::endian::big) wide = little_endian(wide) >> (64 - 8 * sizeof part);
    last |= wide << shift;
    at += sizeof part;
    shift += 8 * sizeof part;
  };
  if ((left & 4) != 0) add(std::uint32_t{});
  if ((left & 2) != 0) add(std::uint16_t{});
  if ((left & 1) != 0) add(std::uint8_t{});
  state.take(last | static_cast<std::uint64_t>(text.size()) << 56);
  state.v2 ^= 0xFF;
  state.round();
  state.round();
  state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace wsr
