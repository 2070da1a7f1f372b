// The small languages inside a scenario's strings: quantities, moments, selectors, distributions, expressions; both
// ways.
//
// Thread-safety: pure functions. Errors: a sentence that shows how to write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/scenario.hpp"

namespace wsr::sim {

struct TextError {
  std::string message;
};
template <class T>
using Read = std::variant<T, TextError>;

[[nodiscard]] Read<Nanos> read_duration(std::string_view text);             // 500ms, 2s, 1m; not negative
[[nodiscard]] Read<std::uint64_t> read_size(std::string_view text);         // 64KiB, 1MB, 300B
[[nodiscard]] Read<std::uint32_t> read_room(std::string_view text);         // room:3; its number
[[nodiscard]] Read<std::uint32_t> read_client(std::string_view text);       // c3; its number
[[nodiscard]] Read<std::uint64_t> read_speed(std::string_view text);        // 5KiB/s; bytes a second
[[nodiscard]] Read<std::uint64_t> read_rate(std::string_view text);         // 200/s, 5k/s, 30/m; operations an hour
[[nodiscard]] Read<std::uint32_t> read_chance(std::string_view text);       // 1%, 0.01%; parts in a million
[[nodiscard]] Read<std::uint64_t> read_count(std::string_view text);        // 20k, 1M, 300
[[nodiscard]] Read<Distribution> read_distribution(std::string_view text);  // 5ms, uniform(1ms,5ms), exp(2ms), ...
[[nodiscard]] Read<When> read_when(std::string_view text);                  // 30s, kill, kill+21s, end
[[nodiscard]] Read<Selector> read_selector(std::string_view text);
[[nodiscard]] Read<Expression> read_expression(std::string_view text);

[[nodiscard]] std::string write_duration(Nanos value);
[[nodiscard]] std::string write_size(std::uint64_t bytes);
[[nodiscard]] std::string write_rate(std::uint64_t per_hour);
[[nodiscard]] std::string write_chance(std::uint32_t ppm);
[[nodiscard]] std::string write(const Distribution& distribution);
[[nodiscard]] std::string write(const When& when);

/// The nearest of `known`, to be asked for; empty if none is near.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace wsr::sim
