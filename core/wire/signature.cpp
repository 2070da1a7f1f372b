#include "core/wire/signature.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cassert>
#include <limits>
#include <memory>
#include <new>

namespace wsr::codec {
namespace {

constexpr std::size_t key_id_bytes_max = 32;
using Mac = std::array<unsigned char, mac_bytes>;

/// HMAC-SHA256 over the channel, with its length, and all bytes before the MAC itself.
bool sign(const BatchKey& key, std::string_view channel, std::string_view batch, Mac& mac) {
  // Fetched once: looking an algorithm up costs more than hashing a batch.
  static EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  if (hmac == nullptr) return false;
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(EVP_MAC_CTX_new(hmac), &EVP_MAC_CTX_free);
  if (context == nullptr) return false;
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  const auto bytes = [](std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); };
  std::string place;
  put_text(place, channel);
  std::size_t size = 0;
  return EVP_MAC_init(context.get(), bytes(key.secret), key.secret.size(), parameters) == 1 &&
         EVP_MAC_update(context.get(), bytes(place), place.size()) == 1 &&
         EVP_MAC_update(context.get(), bytes(batch), batch.size()) == 1 &&
         EVP_MAC_final(context.get(), mac.data(), &size, mac.size()) == 1 && size == mac.size();
}

}  // namespace

void put_signer(std::string& out, const BatchKey& key, std::chrono::milliseconds time) {
  assert(!key.id.empty() && key.id.size() <= key_id_bytes_max);
  put_text(out, key.id);
  put_number(out, static_cast<std::uint64_t>(time.count() < 0 ? 0 : time.count()));
}

void put_mac(std::string& out, const BatchKey& key, std::string_view channel) {
  Mac mac;
  if (!sign(key, channel, out, mac)) throw std::bad_alloc();
  out.append(reinterpret_cast<const char*>(mac.data()), mac.size());
}

std::optional<std::string> verify(std::string_view what, std::string_view bytes, Reader& rest, const BatchKeys& keys,
                                  std::string_view channel, std::chrono::milliseconds now) {
  const auto wrong = [what](const std::string& sentence) { return std::string(what) + sentence; };
  const std::string_view key_id = rest.text();
  const std::uint64_t time = rest.number(std::numeric_limits<std::int64_t>::max());
  if (rest.has_failed() || rest.left() < mac_bytes) return wrong(" ends within its signature");
  const BatchKey* key = nullptr;
  for (const auto& candidate : keys.keys) {
    if (candidate.id == key_id) key = &candidate;
  }
  if (key == nullptr) {
    return wrong(" is signed with a key whose id is unknown here: give every server the same --bus-key list");
  }
  Mac mac;
  const std::string_view covered = bytes.substr(0, bytes.size() - mac_bytes);
  if (!sign(*key, channel, covered, mac)) return wrong(" has a signature that could not be computed");
  if (CRYPTO_memcmp(mac.data(), covered.data() + covered.size(), mac_bytes) != 0) {
    return wrong("'s signature is wrong: it was changed, or made for another channel or with another secret");
  }
  // Only now: the time of a forgery means nothing.
  const auto at = static_cast<std::uint64_t>(now.count() < 0 ? 0 : now.count());
  const std::uint64_t skew = at > time ? at - time : time - at;
  if (skew > static_cast<std::uint64_t>(keys.skew_max.count() < 0 ? 0 : keys.skew_max.count())) {
    return wrong(" is " + std::to_string(skew) + " ms off this server's time: replayed, or a clock is wrong");
  }
  rest = Reader({rest.at(), rest.left() - mac_bytes});
  return std::nullopt;
}

}  // namespace wsr::codec
