#include "core/base/errc.hpp"

namespace wsr {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::ok:
      return "ok";
    case Errc::bad_request:
      return "bad_request";
    case Errc::not_found:
      return "not_found";
    case Errc::superseded:
      return "superseded";
    case Errc::conflict:
      return "conflict";
    case Errc::capacity:
      return "capacity";
    case Errc::unavailable:
      return "unavailable";
    case Errc::timeout:
      return "timeout";
    case Errc::forbidden:
      return "forbidden";
    case Errc::offline:
      return "offline";
    case Errc::rate_limited:
      return "rate_limited";
    case Errc::too_big:
      return "too_big";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace wsr
