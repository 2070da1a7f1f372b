#include "cli/units.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace wsr::cli {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
// The largest first: format_*() takes the first that divides.
constexpr Unit durations[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr Unit sizes[] = {{"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}};
constexpr std::uint64_t duration_max = 30ull * 24 * 3'600'000;  // longer is a slip of the keyboard
constexpr std::uint64_t size_max = 1ull << 40;
constexpr std::uint32_t rate_count_max = 1'000'000;  // core/store/rates.hpp
constexpr std::uint64_t rate_window_max = 3'600'000;

/// The number times its unit; nullopt if it is not written that way or exceeds `max`.
template <std::size_t N>
std::optional<std::uint64_t> parse(std::string_view text, const Unit (&units)[N], std::uint64_t max) {
  std::uint64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || number > max) return std::nullopt;
  const std::string_view name(stopped, static_cast<std::size_t>(end - stopped));
  if (name.empty() && number == 0) return 0;
  for (const auto& unit : units) {
    if (name == unit.name && number <= max / unit.factor) return number * unit.factor;
  }
  return std::nullopt;
}

template <std::size_t N>
std::string format(std::uint64_t value, const Unit (&units)[N]) {
  if (value == 0) return "0";
  for (const auto& unit : units) {
    if (value % unit.factor == 0) return fmt::format("{}{}", value / unit.factor, unit.name);
  }
  return std::to_string(value);
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (const auto value = parse(text, durations, duration_max)) return std::chrono::milliseconds(*value);
  return Error{Errc::bad_request,
               fmt::format("'{}' is not a duration: write a whole number and its unit, such as 250ms, 6s or 1m (at "
                           "most 30 days)",
                           text)};
}

std::string format_duration(std::chrono::milliseconds duration) {
  return format(static_cast<std::uint64_t>(duration.count()), durations);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  if (const auto value = parse(text, sizes, size_max)) return *value;
  std::uint64_t bytes = 0;
  const auto* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, bytes);
  if (error == std::errc{} && stopped == end && bytes <= size_max) return bytes;
  return Error{Errc::bad_request,
               fmt::format("'{}' is not a size: write a whole number and its unit, such as 900B, 64KiB or 4MiB (at "
                           "most 1024GiB)",
                           text)};
}

std::string format_size(std::uint64_t bytes) { return format(bytes, sizes); }

Result<RateLimit> parse_rate(std::string_view text) {
  const auto slash = text.find('/');
  const auto number = text.substr(0, slash);
  RateLimit limit;
  const auto* end = number.data() + number.size();
  const auto [stopped, error] = std::from_chars(number.data(), end, limit.count);
  bool is_good = error == std::errc{} && stopped == end && limit.count <= rate_count_max;
  if (is_good && slash != std::string_view::npos) {
    const auto window = parse(text.substr(slash + 1), durations, rate_window_max);
    is_good = window && *window >= 1;
    if (is_good) limit.window = std::chrono::milliseconds(*window);
  }
  if (is_good) return limit;
  return Error{
      Errc::bad_request,
      fmt::format("'{}' is not a rate: write messages and a time, such as 20/1s or 600/1m (0: no limit; at most "
                  "{} messages, from 1ms to 1h)",
                  text, rate_count_max)};
}

std::string format_rate(const RateLimit& limit) {
  return limit.is_on() ? fmt::format("{}/{}", limit.count, format_duration(limit.window)) : "0";
}

}  // namespace wsr::cli
