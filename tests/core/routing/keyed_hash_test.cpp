#include "core/base/keyed_hash.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/ids.hpp"
#include "core/routing/slot_index.hpp"
#include "core/routing/text_map.hpp"

using namespace wsr;

namespace {

/// Puts the process' key back.
struct KeyGuard {
  HashKey key = hash_key();
  ~KeyGuard() { set_hash_key(key); }
};

/// SipHash-1-3 as its authors describe it, byte by byte.
std::uint64_t slow_siphash13(HashKey key, std::string_view text) {
  const auto rotl = [](std::uint64_t x, int b) { return x << b | x >> (64 - b); };
  std::uint64_t v[4] = {key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d, key.low ^ 0x6c7967656e657261,
                        key.high ^ 0x7465646279746573};
  const auto round = [&] {
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
  };
  for (std::size_t at = 0; at <= text.size(); at += 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8 && at + i < text.size(); ++i) {
      word |= std::uint64_t{static_cast<unsigned char>(text[at + i])} << (8 * i);
    }
    if (at + 8 > text.size()) word |= std::uint64_t{text.size() & 0xFF} << 56;
    v[3] ^= word;
    round();
    v[0] ^= word;
  }
  v[2] ^= 0xFF;
  for (int i = 0; i < 3; ++i) round();
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/// Names whose 64 bits of std::hash are all the same: libstdc++'s hash (MurmurHash64A under a known seed) can be run
/// backwards, so the last eight bytes are computed from the first.
std::vector<std::string> colliding_names(std::size_t count) {
  constexpr std::uint64_t mul = 0xc6a4a7935bd1e995, seed = 0xc70f6907, target = 0x123456789abcdef0;
  std::uint64_t inverse = mul;  // Newton: each step doubles the bits that are right
  for (int i = 0; i < 6; ++i) inverse *= 2 - mul * inverse;
  const auto shift_mix = [](std::uint64_t v) { return v ^ (v >> 47); };  // its own inverse
  const auto is_printable = [](const char* bytes) {
    return std::all_of(bytes, bytes + 8, [](char c) { return c > 0x20 && c < 0x7F; });
  };
  std::vector<std::string> names;
  for (std::uint64_t n = 0; names.size() < count; ++n) {
    char bytes[16];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>('a' + (n >> (4 * i)) % 16);
    std::uint64_t first;
    std::memcpy(&first, bytes, 8);
    const std::uint64_t after_first = ((seed ^ (16 * mul)) ^ (shift_mix(first * mul) * mul)) * mul;
    const std::uint64_t last = shift_mix(((target * inverse) ^ after_first) * inverse) * inverse;
    std::memcpy(bytes + 8, &last, 8);
    if (is_printable(bytes + 8)) names.emplace_back(bytes, 16);
  }
  return names;
}

}  // namespace

TEST_CASE("13 000 names that collide without a key lie apart in every table") {
  const auto names = colliding_names(13'000);
#ifdef __GLIBCXX__
  CHECK(std::hash<std::string>{}(names.front()) == std::hash<std::string>{}(names.back()));
#endif
  TextMap<int> map;
  for (const auto& name : names) map[name];
  std::size_t longest = 0;
  for (std::size_t bucket = 0; bucket < map.bucket_count(); ++bucket) {
    longest = std::max(longest, map.bucket_size(bucket));
  }
  CHECK(longest <= 12);

  std::size_t looked_at = 0;
  struct TextOf {
    const std::vector<std::string>* names;
    std::size_t* looked_at;
    std::string_view operator()(std::uint32_t slot) const {
      ++*looked_at;
      return (*names)[slot];
    }
  };
  SlotIndex<TextOf> index(TextOf{&names, &looked_at});
  for (std::uint32_t slot = 0; slot < names.size(); ++slot) index.insert(slot);
  looked_at = 0;
  for (std::uint32_t slot = 0; slot < names.size(); ++slot) REQUIRE(index.find(names[slot]) == slot);
  CHECK(looked_at < 2 * names.size());

  std::unordered_map<ClientId, int> clients;
  for (const auto& name : names) clients[ClientId::trusted(name)];
  CHECK(clients.bucket_size(clients.bucket(ClientId::trusted(names.front()))) <= 12);
}

TEST_CASE("the hash is SipHash-1-3, for every length of the last word") {
  const HashKey key{0x0706050403020100, 0x0F0E0D0C0B0A0908};
  std::string text;
  for (int size = 0; size < 70; ++size) {
    CHECK(siphash13(key, text) == slow_siphash13(key, text));
    text += static_cast<char>(size * 37);
  }
  CHECK(siphash13(key, text) != siphash13({key.low, key.high + 1}, text));
}

TEST_CASE("names that share a bucket under one key do not under another") {
  const HashKey known{1, 2}, secret{3, 4};
  constexpr std::uint64_t buckets = 1 << 12;
  std::set<std::uint64_t> hit;
  int found = 0;
  for (int i = 0; found < 100; ++i) {
    const std::string name = "c" + std::to_string(i);
    if (siphash13(known, name) % buckets != 0) continue;
    ++found;
    hit.insert(siphash13(secret, name) % buckets);
  }
  CHECK(hit.size() > 90);
}

TEST_CASE("a table keeps the key that it was made with") {
  const KeyGuard guard;
  set_hash_key({5, 6});
  TextMap<int> map;
  for (int i = 0; i < 1'000; ++i) map["n" + std::to_string(i)] = i;
  const KeyedHash made_before;
  set_hash_key({7, 8});
  CHECK(KeyedHash{}("ada") != made_before("ada"));
  for (int i = 0; i < 1'000; ++i) {
    const auto found = map.find(std::string_view("n" + std::to_string(i)));
    REQUIRE(found != map.end());
    CHECK(found->second == i);
  }
  const TextMap<int> copy = map;
  CHECK(copy.find("n7")->second == 7);
}
