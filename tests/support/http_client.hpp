// HTTP for tests: one request, one connection, one deadline. Beast writes and parses: not our own code.
//
// Errors: std::runtime_error when there is no whole answer in time.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tests/support/wait.hpp"

namespace wsr::test {

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
  std::string allow;  // of a 405
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(body); }
};

[[nodiscard]] HttpAnswer http(std::uint16_t port, std::string_view method, std::string_view target,
                              std::string_view body = {}, std::string_view content_type = "application/json",
                              milliseconds within = milliseconds{8'000});

}  // namespace wsr::test
