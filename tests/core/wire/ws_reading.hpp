// Reading a whole stream of frames in pieces of any size, as a connection does: what is not consumed
// is kept and stands before the next piece. Shared by the tests and the fuzzer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/ws_frame.hpp"

namespace wsr::testing {

struct Heard {
  WsEvent::Kind kind;
  std::string payload;
  CloseCode code;
  bool operator==(const Heard&) const = default;
};

/// Every event of `bytes` until they are used up, or until the first error. `piece_size` says how many bytes come next.
/// The sentence of an error is left out. `rest` gets what the parser has not consumed.
inline std::vector<Heard> hear(WsParser& parser, std::string_view bytes, const std::function<std::size_t()>& piece_size,
                               std::string* rest = nullptr) {
  std::vector<Heard> heard;
  std::string kept;
  while (!bytes.empty()) {
    const auto size = std::min(std::max<std::size_t>(piece_size(), 1), bytes.size());
    kept.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    std::span<char> input(kept);
    for (;;) {
      const auto event = parser.next(input);
      input = input.subspan(event.consumed);
      if (event.kind == WsEvent::Kind::need_more) break;
      const bool is_error = event.kind == WsEvent::Kind::error;
      heard.push_back({event.kind, is_error ? std::string() : std::string(event.payload), event.code});
      if (is_error) return heard;
    }
    kept = std::string(input.data(), input.size());
  }
  if (rest != nullptr) *rest = kept;
  return heard;
}

inline std::vector<Heard> hear_whole(WsParser& parser, std::string_view bytes) {
  return hear(parser, bytes, [&bytes] { return bytes.size(); });
}

}  // namespace wsr::testing
