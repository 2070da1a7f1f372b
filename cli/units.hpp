// Units: how durations and sizes are written on the command line, in the environment and in config files.
//
// Errors: bad_request, with a sentence that shows how to write it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/errc.hpp"
#include "core/store/rates.hpp"

namespace wsr::cli {

/// `250ms`, `6s`, `1m`, `2h`, `0`; a number needs its unit unless it is 0. At most 30 days.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// The shortest way to write it: 6s, 250ms, 1m.
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

/// `64KiB`, `4MiB`, `1GiB`, `900B`, `900`. At most 1 TiB.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// `20/1s`, `600/1m`; `600` alone means in 60s, `0` no limit. The burst is an option of its own.
[[nodiscard]] Result<RateLimit> parse_rate(std::string_view text);
[[nodiscard]] std::string format_rate(const RateLimit& limit);

}  // namespace wsr::cli
