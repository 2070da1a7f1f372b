// Signatures of what travels over the bus: HMAC-SHA256 (RFC 2104) over channel and bytes, with key id and time.
//
// Internal to core/wire: envelope.cpp and room_envelope.cpp. What is signed carries key id and time in its head
// (put_signer) and the MAC as its last bytes (put_mac).
//
// Thread-safety: pure functions. Errors: verify() says what is wrong; put_mac() throws std::bad_alloc, the only way in
// which a fetched HMAC fails.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/wire/codec.hpp"
#include "core/wire/envelope.hpp"

namespace wsr::codec {

inline constexpr std::size_t mac_bytes = 32;

/// The key that signs; nullptr: nothing is signed.
[[nodiscard]] inline const BatchKey* signer(const BatchKeys& keys) {
  return keys.keys.empty() ? nullptr : &keys.keys.front();
}
void put_signer(std::string& out, const BatchKey& key, std::chrono::milliseconds time);
/// Signs all of `out`.
void put_mac(std::string& out, const BatchKey& key, std::string_view channel);

/// Reads key id and time, checks them and the MAC at the end of `bytes`, and takes the MAC off the end of `rest`.
/// Nullopt: all is well. `what` opens the sentence: "the batch".
[[nodiscard]] std::optional<std::string> verify(std::string_view what, std::string_view bytes, Reader& rest,
                                                const BatchKeys& keys, std::string_view channel,
                                                std::chrono::milliseconds now);

}  // namespace wsr::codec
