// The chat page that `wsr serve` shows at GET /; chat.html, embedded at build time.
#pragma once

#include <string_view>

namespace wsr::cli {

[[nodiscard]] std::string_view chat_page();

}  // namespace wsr::cli
