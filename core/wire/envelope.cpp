#include "core/wire/envelope.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cassert>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace wsr {
namespace {

constexpr char magic = 'W';
constexpr std::uint8_t version = 1;
constexpr std::uint8_t signed_flag = 1;
constexpr std::size_t mac_bytes = 32;
constexpr std::size_t key_id_bytes_max = 32;
using Mac = std::array<unsigned char, mac_bytes>;

/// Part of the format: append only.
enum class Kind : std::uint8_t { message = 1, returned, receipt, account_wanted, account, kick, probe };

// ---------------------------------------------------------------- numbers and texts

void put_byte(std::string& out, std::uint8_t byte) { out.push_back(static_cast<char>(byte)); }

void put_number(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) put_byte(out, static_cast<std::uint8_t>(value | 0x80));
  put_byte(out, static_cast<std::uint8_t>(value));
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out.append(text);
}

/// Reads from the front of `bytes`. After the first failure everything it gives is zero or empty,
/// so that a caller checks once, at the end.
class Reader {
public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  std::uint8_t byte() {
    if (at_ == end_) return static_cast<std::uint8_t>(fail());
    return static_cast<std::uint8_t>(*at_++);
  }

  /// A LEB128 number of at most `max`. Every number has one spelling: an overlong one is refused.
  std::uint64_t number(std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return fail();
      const auto next = static_cast<std::uint8_t>(*at_++);
      if (shift == 63 && next > 1) return fail();  // beyond 64 bits
      value |= std::uint64_t{next & 0x7Fu} << shift;
      if ((next & 0x80) == 0) return (next == 0 && shift != 0) || value > max ? fail() : value;
    }
    return fail();
  }
  template <class T>
  T number_of() {
    return static_cast<T>(number(std::numeric_limits<T>::max()));
  }

  std::string_view text() {
    const std::uint64_t size = number();
    if (size > left()) {
      fail();
      return {};
    }
    const std::string_view text(at_, size);
    at_ += size;
    return text;
  }

  std::uint64_t fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] const char* at() const { return at_; }
  [[nodiscard]] bool has_failed() const { return failed_; }

private:
  const char* at_;
  const char* end_;
  bool failed_ = false;
};

// ---------------------------------------------------------------- entries

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;  // clang does not deduce it for aggregates before version 17

void put_message(std::string& out, Kind kind, const EntryMessage& message) {
  put_byte(out, static_cast<std::uint8_t>(kind));
  put_byte(out, static_cast<std::uint8_t>((message.is_copy ? 1 : 0) | (message.is_fresh ? 2 : 0)));
  put_byte(out, message.hops);
  put_number(out, message.receipt);
  put_text(out, message.from);
  put_text(out, message.to);
  put_text(out, message.data);
}

EntryMessage read_message(Reader& reader) {
  EntryMessage message;
  const auto flags = reader.byte();
  if (flags > 3) reader.fail();
  message.is_copy = (flags & 1) != 0;
  message.is_fresh = (flags & 2) != 0;
  message.hops = reader.byte();
  message.receipt = reader.number();
  message.from = reader.text();
  message.to = reader.text();
  message.data = reader.text();
  return message;
}

void read_entry(Reader& reader, std::vector<Entry>& entries) {
  switch (static_cast<Kind>(reader.byte())) {
    case Kind::message:
      entries.emplace_back(read_message(reader));
      return;
    case Kind::returned: {
      EntryReturned returned{read_message(reader)};
      returned.base = reader.number();
      entries.emplace_back(returned);
      return;
    }
    case Kind::receipt: {
      EntryReceipt receipt;
      receipt.receipt = reader.number();
      receipt.word = reader.byte();
      if (receipt.word >= word_count) reader.fail();  // it will index an array
      entries.emplace_back(receipt);
      return;
    }
    case Kind::account_wanted:
      entries.emplace_back(EntryAccountWanted{});
      return;
    case Kind::account: {
      EntryAccount account;
      account.through = reader.number();
      account.returned = reader.number();
      for (auto& word : account.words) word = reader.number();
      account.base = reader.number();
      entries.emplace_back(account);
      return;
    }
    case Kind::kick: {
      EntryKick kick;
      kick.conn = reader.number();
      kick.code = reader.number_of<std::uint16_t>();
      kick.reason = reader.text();
      entries.emplace_back(kick);
      return;
    }
    case Kind::probe:
      entries.emplace_back(EntryProbe{reader.number()});
      return;
  }
  reader.fail();
}

// ---------------------------------------------------------------- header

struct Opening {  // a batch's beginning, up to where entries (or key id and time) begin
  std::uint8_t version = 0;
  std::uint8_t flags = 0;
  BatchHeader header;
};

/// Stops early at a version that it does not know: nothing behind it has a meaning then.
Opening read_opening(Reader& reader) {
  Opening opening;
  if (reader.byte() != static_cast<std::uint8_t>(magic)) reader.fail();
  opening.version = reader.byte();
  if (opening.version != version) return opening;
  opening.flags = reader.byte();
  if ((opening.flags & ~signed_flag) != 0) reader.fail();
  opening.header.from_server = reader.text();
  opening.header.from_shard = reader.number_of<std::uint16_t>();
  opening.header.to_shard = reader.number_of<std::uint16_t>();
  opening.header.base = reader.number();
  opening.header.first_seq = reader.number();
  opening.header.count = reader.number_of<std::uint32_t>();
  if (opening.header.first_seq < opening.header.base) reader.fail();
  return opening;
}

// ---------------------------------------------------------------- signature

/// HMAC-SHA256 over the channel, with its length, and all of the batch before the MAC itself.
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

BatchError wrong(std::string_view what) { return BatchError{std::string(what)}; }

/// Checks key, time and MAC of a signed batch, and takes the MAC off `entries`' end. Nullopt: all is well.
std::optional<BatchError> verify(std::string_view bytes, Reader& entries, const BatchKeys& keys,
                                 std::string_view channel, std::chrono::milliseconds now) {
  const std::string_view key_id = entries.text();
  const std::uint64_t time = entries.number(std::numeric_limits<std::int64_t>::max());
  if (entries.has_failed() || entries.left() < mac_bytes) return wrong("the batch ends within its signature");
  const BatchKey* key = nullptr;
  for (const auto& candidate : keys.keys) {
    if (candidate.id == key_id) key = &candidate;
  }
  if (key == nullptr)
    return wrong("the batch is signed with a key whose id is unknown here: give every server the same --bus-key list");
  Mac mac;
  const std::string_view covered = bytes.substr(0, bytes.size() - mac_bytes);
  if (!sign(*key, channel, covered, mac)) return wrong("the signature could not be computed");
  if (CRYPTO_memcmp(mac.data(), covered.data() + covered.size(), mac_bytes) != 0) {
    return wrong("the batch's signature is wrong: it was changed, or made for another inbox or with another secret");
  }
  // Only now: the time of a forged batch means nothing.
  const auto at = static_cast<std::uint64_t>(now.count() < 0 ? 0 : now.count());
  const std::uint64_t skew = at > time ? at - time : time - at;
  if (skew > static_cast<std::uint64_t>(keys.skew_max.count() < 0 ? 0 : keys.skew_max.count())) {
    return wrong("the batch is " + std::to_string(skew) + " ms off this server's time: replayed, or a clock is wrong");
  }
  entries = Reader({entries.at(), entries.left() - mac_bytes});
  return std::nullopt;
}

}  // namespace

// ---------------------------------------------------------------- writer

BatchWriter::BatchWriter(std::string_view from_server, std::uint16_t from_shard, std::uint16_t to_shard,
                         std::uint64_t base, std::uint64_t first_seq)
    : from_server_(from_server), from_shard_(from_shard), to_shard_(to_shard), base_(base), first_seq_(first_seq) {
  assert(base <= first_seq);
}

void BatchWriter::add(const Entry& entry) {
  const auto put_kind = [this](Kind kind) { put_byte(entries_, static_cast<std::uint8_t>(kind)); };
  std::visit(Overload{
                 [this](const EntryMessage& message) { put_message(entries_, Kind::message, message); },
                 [this](const EntryReturned& returned) {
                   put_message(entries_, Kind::returned, returned.message);
                   put_number(entries_, returned.base);
                 },
                 [&](const EntryReceipt& receipt) {
                   assert(receipt.word < word_count);
                   put_kind(Kind::receipt);
                   put_number(entries_, receipt.receipt);
                   put_byte(entries_, receipt.word);
                 },
                 [&](const EntryAccountWanted&) { put_kind(Kind::account_wanted); },
                 [&](const EntryAccount& account) {
                   put_kind(Kind::account);
                   put_number(entries_, account.through);
                   put_number(entries_, account.returned);
                   for (const auto word : account.words) put_number(entries_, word);
                   put_number(entries_, account.base);
                 },
                 [&](const EntryKick& kick) {
                   put_kind(Kind::kick);
                   put_number(entries_, kick.conn);
                   put_number(entries_, kick.code);
                   put_text(entries_, kick.reason);
                 },
                 [&](const EntryProbe& probe) {
                   put_kind(Kind::probe);
                   put_number(entries_, probe.nonce);
                 },
             },
             entry);
  ++count_;
}

std::string BatchWriter::finish(const BatchKeys& keys, std::string_view channel, std::chrono::milliseconds time) const {
  const BatchKey* const key = keys.keys.empty() ? nullptr : &keys.keys.front();
  std::string out;
  out.reserve(entries_.size() + from_server_.size() + 128 + mac_bytes);
  out.push_back(magic);
  put_byte(out, version);
  put_byte(out, key == nullptr ? 0 : signed_flag);
  put_text(out, from_server_);
  put_number(out, from_shard_);
  put_number(out, to_shard_);
  put_number(out, base_);
  put_number(out, first_seq_);
  put_number(out, count_);
  if (key != nullptr) {
    assert(!key->id.empty() && key->id.size() <= key_id_bytes_max);
    put_text(out, key->id);
    put_number(out, static_cast<std::uint64_t>(time.count() < 0 ? 0 : time.count()));
  }
  out.append(entries_);
  if (key != nullptr) {
    Mac mac;
    if (!sign(*key, channel, out, mac)) throw std::bad_alloc();  // the only way in which a fetched HMAC fails
    out.append(reinterpret_cast<const char*>(mac.data()), mac.size());
  }
  return out;
}

// ---------------------------------------------------------------- reader

std::optional<BatchHeader> peek_batch(std::string_view bytes) {
  if (bytes.size() > batch_bytes_limit) return std::nullopt;
  Reader reader(bytes);
  const auto opening = read_opening(reader);
  if (reader.has_failed() || opening.version != version) return std::nullopt;
  return opening.header;
}

std::variant<Batch, BatchError> decode_batch(std::string_view bytes, const BatchKeys& keys, std::string_view channel,
                                             std::chrono::milliseconds now) {
  if (bytes.size() > batch_bytes_limit) {
    return wrong("a batch of " + std::to_string(bytes.size()) + " bytes is above the limit of " +
                 std::to_string(batch_bytes_limit));
  }
  Reader reader(bytes);
  const auto opening = read_opening(reader);
  if (reader.has_failed()) return wrong("the batch's header is not readable");
  if (opening.version != version) {
    return wrong("a batch of version " + std::to_string(opening.version) + ": this server speaks version 1");
  }
  const bool is_signed = (opening.flags & signed_flag) != 0;
  if (is_signed && keys.keys.empty()) return wrong("the batch is signed, but this server has no --bus-key");
  if (!is_signed && !keys.keys.empty()) return wrong("the batch is not signed, but this server has a --bus-key");
  if (is_signed) {
    if (auto error = verify(bytes, reader, keys, channel, now)) return std::move(*error);
  }
  const std::uint32_t count = opening.header.count;
  // Before memory is taken for them: every entry has at least a byte, and a batch a bounded number.
  if (count > reader.left() || count > batch_entries_limit) return wrong("the batch announces more entries than fit");
  Batch batch;
  batch.header = opening.header;
  batch.entries.reserve(count);
  for (std::uint32_t i = 0; i < count && !reader.has_failed(); ++i) read_entry(reader, batch.entries);
  if (reader.has_failed()) return wrong("an entry of the batch is not readable");
  if (reader.left() != 0) return wrong("the batch has bytes behind its last entry");
  return batch;
}

}  // namespace wsr
