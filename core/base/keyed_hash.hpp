// KeyedHash: hashes of text that somebody else has chosen: SipHash-1-3 under a key that nobody outside knows.
//
// With a hash that is known, whoever may choose names chooses 10 000 that fall into one bucket, and every look at the
// table walks them all. A table keeps the key with which it was made. The key is handed in by whoever runs the core:
// drawn once a process by a server, fixed in the simulator and in tests.
//
// Thread-safety: set_hash_key() before the first table that is to have the key, on any thread.
// Cost:          13 ns for a name of 16 bytes, 9 ns more than the unkeyed std::hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>

namespace wsr {

struct HashKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

/// The key of tables that are made from now on. The default is fixed.
void set_hash_key(HashKey key);
[[nodiscard]] HashKey hash_key();

/// SipHash with one round for each word and three at the end (Aumasson and Bernstein; what Rust's and Python's tables
/// use).
[[nodiscard]] std::uint64_t siphash13(HashKey key, std::string_view text);

struct KeyedHash {
  using is_transparent = void;
  using is_avalanching = void;  // boost::unordered_flat_map: every bit is as good as any other
  HashKey key = hash_key();
  [[nodiscard]] std::size_t operator()(std::string_view text) const noexcept {
    return static_cast<std::size_t>(siphash13(key, text));
  }
};

}  // namespace wsr

#ifdef __GLIBCXX__
/// libstdc++'s tables keep the hash beside each name then, as they do for std::hash<std::string>: a walk along a bucket
/// must not hash what it passes.
template <>
struct std::__is_fast_hash<wsr::KeyedHash> : std::false_type {};
#endif
