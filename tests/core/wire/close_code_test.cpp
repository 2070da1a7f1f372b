#include "core/wire/close_code.hpp"

#include <catch2/catch.hpp>

using namespace wsr;

TEST_CASE("of all 65536 close codes exactly the defined, registered and private ones may be sent") {
  int wrong = 0;
  for (unsigned code = 0; code <= 0xFFFF; ++code) {
    const bool defined = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
    const bool free = code >= 3000 && code <= 4999;
    wrong += is_valid_on_wire(static_cast<std::uint16_t>(code)) != (defined || free);
  }
  CHECK(wrong == 0);
}

TEST_CASE("every code that we write ourselves may be sent") {
  for (const auto code :
       {CloseCode::normal, CloseCode::going_away, CloseCode::protocol_error, CloseCode::unsupported,
        CloseCode::bad_utf8, CloseCode::policy, CloseCode::too_big, CloseCode::internal_error, CloseCode::restart,
        CloseCode::try_again_later, CloseCode::auth_required, CloseCode::auth_invalid, CloseCode::forbidden,
        CloseCode::replaced, CloseCode::capacity, CloseCode::rate_limited, CloseCode::idle}) {
    CHECK(is_valid_on_wire(static_cast<std::uint16_t>(code)));
  }
  CHECK_FALSE(is_valid_on_wire(static_cast<std::uint16_t>(CloseCode::no_status)));
  CHECK_FALSE(is_valid_on_wire(static_cast<std::uint16_t>(CloseCode::abnormal)));
}
