// Pages embedded at build time: the chat that `wsr serve` shows at GET / (chat.html), the report of `wsr simulate`
// (simulation.html).
#pragma once

#include <string_view>

namespace wsr::cli {

[[nodiscard]] std::string_view chat_page();
[[nodiscard]] std::string_view simulation_page();

}  // namespace wsr::cli
