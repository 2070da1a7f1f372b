#include "core/net/hash_key.hpp"

#include <cstdint>
#include <mutex>
#include <random>

#include "core/base/keyed_hash.hpp"

namespace wsr::net {

void draw_hash_key() {
  static std::once_flag once;
  std::call_once(once, [] {
    std::random_device random;
    const auto word = [&random] { return static_cast<std::uint64_t>(random()) << 32 | random(); };
    set_hash_key(HashKey{word(), word()});
  });
}

}  // namespace wsr::net
