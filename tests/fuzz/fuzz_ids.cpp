// Ids from anyone: what parses is within its bounds and has one spelling.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/wire/utf8.hpp"
#include "tests/fuzz/require.hpp"

using namespace wsr;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  const auto client = ClientId::parse(text);
  WSR_REQUIRE(client.has_value() == (ClientId::check(text).code == Errc::ok));
  if (client.has_value()) {
    WSR_REQUIRE(client->view() == text && !text.empty() && text.size() <= name_bytes_max && is_utf8(text));
    WSR_REQUIRE(std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }));
  } else {
    WSR_REQUIRE(!client.error().message.empty());
  }

  const auto server = ServerId::parse(text);
  if (server.has_value()) {
    WSR_REQUIRE(server->view() == text && !server->name().empty() && !server->incarnation().empty());
    const auto again = ServerId::make(server->name(), server->incarnation());
    WSR_REQUIRE(again.has_value() && *again == *server);
  } else {
    WSR_REQUIRE(!server.error().message.empty());
  }

  if (const auto at = Attachment::parse(text)) {
    const auto spelled = at->str();
    const auto again = Attachment::parse(spelled);
    WSR_REQUIRE(again && *again == *at);
    WSR_REQUIRE(again->str() == spelled);
  }
  return 0;
}
