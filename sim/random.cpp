#include "sim/random.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace wsr::sim {
namespace {

// Logarithms to base 2 in 32.32 fixed point. The tables are made with integers alone, when this is compiled.
constexpr unsigned table_bits = 8;

/// log2(1 + i/256), 32 bits of fraction, by squaring: each square's overflow is the next bit.
constexpr std::uint64_t log2_of(std::uint64_t mantissa /* 1.63 fixed point, from 1 to below 2 */) {
  std::uint64_t result = 0;
  Wide x = mantissa;
  for (int bit = 0; bit < 32; ++bit) {
    x = (x * x) >> 63;
    result <<= 1;
    if (x >= (Wide{1} << 64)) {
      result |= 1;
      x >>= 1;
    }
  }
  return result;
}

constexpr auto make_log_table() {
  std::array<std::uint64_t, (1U << table_bits) + 1> table{};
  for (std::uint64_t i = 0; i < (1U << table_bits); ++i) {
    table[i] = log2_of((std::uint64_t{1} << 63) + (i << (63 - table_bits)));
  }
  table[1U << table_bits] = std::uint64_t{1} << 32;
  return table;
}
constexpr auto log_table = make_log_table();

/// log2(x) for x >= 1, 32 bits of fraction.
std::uint64_t log2_fixed(std::uint64_t x) {
  const auto whole = static_cast<unsigned>(63 - std::countl_zero(x));
  const std::uint64_t fraction = (x << (63 - whole)) << 1;  // the bits behind the leading one, on top
  const std::uint64_t slot = fraction >> (64 - table_bits);
  const std::uint64_t rest = (fraction << table_bits) >> 32;
  const std::uint64_t low = log_table[slot];
  return (std::uint64_t{whole} << 32) + low + (((log_table[slot + 1] - low) * rest) >> 32);
}

/// value * 2^(power), power with 32 bits of fraction; at most scenario_limits::duration_max.
Nanos times_power_of_two(Nanos value, std::int64_t power) {
  if (value <= 0) return 0;
  // log2(value) + power, and back through the same table: a binary search over its 257 places and between them.
  const std::int64_t log = static_cast<std::int64_t>(log2_fixed(static_cast<std::uint64_t>(value))) + power;
  if (log < 0) return 0;
  const auto whole = static_cast<unsigned>(log >> 32);
  if (whole > 46) return scenario_limits::duration_max;
  const auto fraction = static_cast<std::uint64_t>(log & 0xFFFFFFFF);
  const auto above = std::upper_bound(log_table.begin(), log_table.end() - 1, fraction);
  const auto slot = static_cast<std::uint64_t>(above - log_table.begin()) - 1;
  const std::uint64_t step = log_table[slot + 1] - log_table[slot];
  const std::uint64_t rest = ((fraction - log_table[slot]) << 32) / step;
  const std::uint64_t mantissa =
      (std::uint64_t{1} << 47) + (slot << (47 - table_bits)) + ((rest << (47 - table_bits)) >> 32);
  return static_cast<Nanos>(whole >= 47 ? mantissa << (whole - 47) : mantissa >> (47 - whole));
}

/// A standard normal value with 32 bits of fraction: twelve even ones summed (Irwin-Hall), from -6 to 6.
std::int64_t normal(std::uint64_t bits) {
  std::int64_t sum = 0;
  for (unsigned i = 0; i < 12; ++i) sum += static_cast<std::int64_t>(mix(bits + i) >> 32);
  return sum - (std::int64_t{6} << 32);
}

constexpr std::int64_t normal_p99 = 9'991'594'721;    // 2.3263 * 2^32
constexpr std::int64_t log2_of_100 = 28'534'911'800;  // 6.6439 * 2^32

}  // namespace

std::uint64_t hash_of(std::string_view text) {
  // Eight bytes at a time, least significant first on every machine.
  std::uint64_t hash = text.size();
  for (; text.size() >= 8; text.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    hash = mix(hash ^ word);
  }
  std::uint64_t rest = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    rest |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  return mix(hash ^ rest);
}

Nanos exponential(Nanos mean, std::uint64_t bits) {
  // -ln(u) = ln 2 * (64 - log2(u * 2^64))
  const std::uint64_t negative_log = (std::uint64_t{64} << 32) - log2_fixed(bits | 1);
  constexpr std::uint64_t ln_2 = 2'977'044'472;  // 0.6931 * 2^32
  const Wide product = Wide{negative_log} * ln_2 * static_cast<std::uint64_t>(mean);
  return static_cast<Nanos>(product >> 64);
}

Nanos Draws::of(const Distribution& d, Purpose purpose, std::uint64_t who, std::uint64_t nth) const {
  switch (d.kind) {
    case Distribution::Kind::constant:
      return d.a;
    case Distribution::Kind::uniform:
      return d.a + static_cast<Nanos>(below(static_cast<std::uint64_t>(d.b - d.a) + 1, purpose, who, nth));
    case Distribution::Kind::exponential:
      return exponential(d.a, bits(purpose, who, nth));
    case Distribution::Kind::lognormal: {
      const auto spread = static_cast<std::int64_t>(log2_fixed(static_cast<std::uint64_t>(std::max<Nanos>(d.b, 1)))) -
                          static_cast<std::int64_t>(log2_fixed(static_cast<std::uint64_t>(std::max<Nanos>(d.a, 1))));
      const auto power = static_cast<SignedWide>(normal(bits(purpose, who, nth))) * spread / normal_p99;
      return times_power_of_two(d.a, static_cast<std::int64_t>(power));
    }
    case Distribution::Kind::pareto: {
      const auto spread = static_cast<std::int64_t>(log2_fixed(static_cast<std::uint64_t>(std::max<Nanos>(d.b, 1)))) -
                          static_cast<std::int64_t>(log2_fixed(static_cast<std::uint64_t>(std::max<Nanos>(d.a, 1))));
      const std::uint64_t negative_log = (std::uint64_t{64} << 32) - log2_fixed(bits(purpose, who, nth) | 1);
      const auto power = static_cast<SignedWide>(negative_log) * spread / log2_of_100;
      return times_power_of_two(d.a, static_cast<std::int64_t>(power));
    }
  }
  return 0;
}

}  // namespace wsr::sim
