#include "core/wire/envelope.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>
#include <utility>

namespace wsr {
namespace {

constexpr char magic = 'W';
constexpr std::uint8_t version = 1;
constexpr std::uint8_t flag_signed = 1;
constexpr std::size_t mac_bytes = 32;
constexpr std::size_t entry_bytes_min = 1;

enum class Kind : std::uint8_t { message = 1, returned, receipt, account_wanted, account, kick, probe };

// ---- writing

void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

void put_kind(std::string& out, Kind kind) { out.push_back(static_cast<char>(kind)); }

void put_message(std::string& out, const EntryMessage& message) {
  put_varint(out, message.receipt);
  out.push_back(static_cast<char>((message.hops << 1) | (message.is_copy ? 1 : 0)));
  put_text(out, message.from);
  put_text(out, message.to);
  put_text(out, message.data);
}

struct Put {
  std::string& out;
  void operator()(const EntryMessage& entry) const {
    put_kind(out, Kind::message);
    put_message(out, entry);
  }
  void operator()(const EntryReturned& entry) const {
    put_kind(out, Kind::returned);
    put_message(out, entry.message);
  }
  void operator()(const EntryReceipt& entry) const {
    put_kind(out, Kind::receipt);
    put_varint(out, entry.receipt);
    out.push_back(static_cast<char>(entry.word));
  }
  void operator()(const EntryAccountWanted&) const { put_kind(out, Kind::account_wanted); }
  void operator()(const EntryAccount& entry) const {
    put_kind(out, Kind::account);
    put_varint(out, entry.through);
    put_varint(out, entry.returned);
    for (const std::uint64_t count : entry.words) put_varint(out, count);
  }
  void operator()(const EntryKick& entry) const {
    put_kind(out, Kind::kick);
    put_varint(out, entry.conn);
    put_varint(out, entry.code);
    put_text(out, entry.reason);
  }
  void operator()(const EntryProbe& entry) const {
    put_kind(out, Kind::probe);
    put_varint(out, entry.nonce);
  }
};

// ---- reading: every get_ returns false at the end of the input or at nonsense

class Reader {
public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool get_byte(std::uint8_t& byte) {
    if (rest_.empty()) return false;
    byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] bool get_varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      std::uint8_t byte = 0;
      if (!get_byte(byte)) return false;
      if (shift == 63 && byte > 1) return false;  // more than 64 bits
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }
  template <class Small>
  [[nodiscard]] bool get_small(Small& value) {
    std::uint64_t wide = 0;
    if (!get_varint(wide) || wide > static_cast<Small>(~Small{0})) return false;
    value = static_cast<Small>(wide);
    return true;
  }
  [[nodiscard]] bool get_text(std::string_view& text) {
    std::uint64_t size = 0;
    if (!get_varint(size) || size > rest_.size()) return false;
    text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  [[nodiscard]] bool get_message(EntryMessage& message) {
    std::uint8_t flags = 0;
    if (!get_varint(message.receipt) || !get_byte(flags)) return false;
    message.hops = flags >> 1;
    message.is_copy = (flags & 1) != 0;
    return get_text(message.from) && get_text(message.to) && get_text(message.data);
  }
  [[nodiscard]] bool get_entry(Entry& entry) {
    std::uint8_t kind = 0;
    if (!get_byte(kind)) return false;
    switch (static_cast<Kind>(kind)) {
      case Kind::message: return get_message(entry.emplace<EntryMessage>());
      case Kind::returned: return get_message(entry.emplace<EntryReturned>().message);
      case Kind::receipt: {
        auto& receipt = entry.emplace<EntryReceipt>();
        return get_varint(receipt.receipt) && get_byte(receipt.word);
      }
      case Kind::account_wanted: entry.emplace<EntryAccountWanted>(); return true;
      case Kind::account: {
        auto& account = entry.emplace<EntryAccount>();
        if (!get_varint(account.through) || !get_varint(account.returned)) return false;
        for (std::uint64_t& count : account.words) {
          if (!get_varint(count)) return false;
        }
        return true;
      }
      case Kind::kick: {
        auto& kick = entry.emplace<EntryKick>();
        return get_varint(kick.conn) && get_small(kick.code) && get_text(kick.reason);
      }
      case Kind::probe: return get_varint(entry.emplace<EntryProbe>().nonce);
    }
    return false;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

private:
  std::string_view rest_;
};

struct Head {
  BatchHeader header;
  bool is_signed = false;
  std::string_view key_id;
  std::uint64_t time_ms = 0;
};

/// What is wrong with the head, or nullptr.
const char* read_head(Reader& reader, Head& head) {
  std::uint8_t byte = 0;
  if (!reader.get_byte(byte) || byte != static_cast<std::uint8_t>(magic)) return "it does not begin like a batch";
  if (!reader.get_byte(byte)) return "it is cut short";
  if (byte != version) return "its version is not 1: run servers of one bus format on one store";
  std::uint8_t flags = 0;
  if (!reader.get_byte(flags) || (flags & ~flag_signed) != 0) return "its flags are unknown";
  head.is_signed = (flags & flag_signed) != 0;
  BatchHeader& header = head.header;
  if (!reader.get_text(header.from_server) || !reader.get_small(header.from_shard) ||
      !reader.get_small(header.to_shard) || !reader.get_varint(header.base) || !reader.get_varint(header.first_seq) ||
      !reader.get_small(header.count)) {
    return "its header is cut short";
  }
  if (header.first_seq < header.base) return "its numbers begin before its link";
  if (head.is_signed && (!reader.get_text(head.key_id) || !reader.get_varint(head.time_ms))) {
    return "its signature is cut short";
  }
  return nullptr;
}

std::array<unsigned char, mac_bytes> mac_of(std::string_view secret, std::string_view channel, std::string_view bytes) {
  // The channel's length stands before it: no two pairs of channel and bytes give the same input.
  std::string input;
  input.reserve(channel.size() + bytes.size() + 10);
  put_text(input, channel);
  input.append(bytes);
  std::array<unsigned char, mac_bytes> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac.data(), &size);
  return mac;
}

const char* verify(const Head& head, std::string_view bytes, const BatchKeys& keys, std::string_view channel,
                   std::chrono::milliseconds now) {
  for (const BatchKey& key : keys.keys) {
    if (key.id != head.key_id) continue;
    const auto mac = mac_of(key.secret, channel, bytes.substr(0, bytes.size() - mac_bytes));
    if (CRYPTO_memcmp(mac.data(), bytes.data() + bytes.size() - mac_bytes, mac_bytes) != 0) {
      return "its signature is wrong";
    }
    const auto sent = std::chrono::milliseconds{static_cast<std::int64_t>(head.time_ms & INT64_MAX)};
    if (sent + keys.skew_max < now || now + keys.skew_max < sent) return "it is too old or from the future";
    return nullptr;
  }
  return "its key id is unknown here";
}

}  // namespace

BatchWriter::BatchWriter(std::string_view from_server, std::uint16_t from_shard, std::uint16_t to_shard,
                         std::uint64_t base, std::uint64_t first_seq)
    : from_server_(from_server), from_shard_(from_shard), to_shard_(to_shard), base_(base), first_seq_(first_seq) {}

void BatchWriter::add(const Entry& entry) {
  std::visit(Put{entries_}, entry);
  ++count_;
}

std::string BatchWriter::finish(const BatchKeys& keys, std::string_view channel, std::chrono::milliseconds time) const {
  std::string out;
  out.reserve(entries_.size() + from_server_.size() + 128);
  out.push_back(magic);
  out.push_back(static_cast<char>(version));
  out.push_back(static_cast<char>(keys.keys.empty() ? 0 : flag_signed));
  put_text(out, from_server_);
  put_varint(out, from_shard_);
  put_varint(out, to_shard_);
  put_varint(out, base_);
  put_varint(out, first_seq_);
  put_varint(out, count_);
  if (!keys.keys.empty()) {
    put_text(out, keys.keys.front().id);
    put_varint(out, static_cast<std::uint64_t>(time.count()));
  }
  out.append(entries_);
  if (!keys.keys.empty()) {
    const auto mac = mac_of(keys.keys.front().secret, channel, out);
    out.append(reinterpret_cast<const char*>(mac.data()), mac.size());
  }
  return out;
}

std::optional<BatchHeader> peek_batch(std::string_view bytes) {
  Reader reader(bytes);
  Head head;
  if (read_head(reader, head) != nullptr) return std::nullopt;
  return head.header;
}

std::variant<Batch, BatchError> decode_batch(std::string_view bytes, const BatchKeys& keys, std::string_view channel,
                                             std::chrono::milliseconds now) {
  if (bytes.size() > batch_bytes_limit) return BatchError{"the batch is larger than any that this version sends"};
  Reader reader(bytes);
  Head head;
  if (const char* wrong = read_head(reader, head)) return BatchError{std::string("the batch is refused: ") + wrong};
  if (head.is_signed != !keys.keys.empty()) {
    return BatchError{head.is_signed ? "the batch is signed, but this server has no --bus-key"
                                     : "the batch is not signed, but this server has a --bus-key"};
  }
  std::string_view body = reader.rest();
  if (head.is_signed) {
    if (body.size() < mac_bytes) return BatchError{"the batch is refused: its signature is cut short"};
    if (const char* wrong = verify(head, bytes, keys, channel, now)) {
      return BatchError{std::string("the batch is refused: ") + wrong};
    }
    body.remove_suffix(mac_bytes);
  }
  // Every entry takes a byte at least: the count cannot make us reserve more than the bytes can hold.
  if (head.header.count > body.size() / entry_bytes_min) return BatchError{"the batch claims more entries than it has"};
  Batch batch;
  batch.header = head.header;
  batch.entries.reserve(head.header.count);
  Reader entries(body);
  for (std::uint32_t i = 0; i < head.header.count; ++i) {
    if (!entries.get_entry(batch.entries.emplace_back())) return BatchError{"an entry of the batch cannot be read"};
  }
  if (!entries.rest().empty()) return BatchError{"the batch has bytes after its last entry"};
  return batch;
}

}  // namespace wsr
