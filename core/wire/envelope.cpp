#include "core/wire/envelope.hpp"

#include <cassert>
#include <utility>

#include "core/wire/codec.hpp"
#include "core/wire/signature.hpp"

namespace wsr {
namespace {

using codec::mac_bytes;
using codec::put_byte;
using codec::put_number;
using codec::put_text;
using codec::Reader;

constexpr char magic = 'W';
constexpr std::uint8_t version = batch_version;
constexpr std::uint8_t signed_flag = 1;

/// Part of the format: append only.
enum class Kind : std::uint8_t {
  message = 1,
  returned,
  receipt,
  account_wanted,
  account,
  kick,
  probe,
  room_receipt,
  room_command,
  room_answer,
  kick_done
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
  put_byte(out, static_cast<std::uint8_t>((message.is_copy ? 1 : 0) | (message.is_fresh ? 2 : 0) |
                                          (message.copies.empty() ? 0 : 4) | (message.deadline == 0 ? 0 : 8)));
  put_byte(out, message.hops);
  put_number(out, message.receipt);
  put_text(out, message.from);
  put_text(out, message.to);
  put_text(out, message.data);
  if (!message.copies.empty()) put_text(out, message.copies);
  if (message.deadline != 0) put_number(out, message.deadline);
}

EntryMessage read_message(Reader& reader) {
  EntryMessage message;
  const auto flags = reader.byte();
  if (flags > 15) reader.fail();
  message.is_copy = (flags & 1) != 0;
  message.is_fresh = (flags & 2) != 0;
  message.hops = reader.byte();
  message.receipt = reader.number();
  message.from = reader.text();
  message.to = reader.text();
  message.data = reader.text();
  if ((flags & 4) != 0) {
    message.copies = reader.text();
    if (message.copies.empty()) reader.fail();
  }
  if ((flags & 8) != 0) {
    message.deadline = reader.number();
    if (message.deadline == 0) reader.fail();
  }
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
      kick.receipt = reader.number();
      entries.emplace_back(kick);
      return;
    }
    case Kind::probe:
      entries.emplace_back(EntryProbe{reader.number()});
      return;
    case Kind::room_receipt: {
      EntryRoomReceipt receipt;
      receipt.receipt = reader.number();
      receipt.connections = reader.number();
      receipt.parts = reader.number_of<std::uint32_t>();
      entries.emplace_back(receipt);
      return;
    }
    case Kind::room_command: {
      EntryRoomCommand command;
      const auto op = reader.byte();
      if (op > static_cast<std::uint8_t>(EntryRoomCommand::Op::leave)) reader.fail();
      command.op = static_cast<EntryRoomCommand::Op>(op);
      command.receipt = reader.number();
      command.room = reader.text();
      command.client = reader.text();
      command.stay = reader.number();
      entries.emplace_back(command);
      return;
    }
    case Kind::kick_done:
      entries.emplace_back(EntryKickDone{reader.number()});
      return;
    case Kind::room_answer: {
      EntryRoomAnswer answer;
      answer.receipt = reader.number();
      answer.result = reader.byte();
      answer.size = reader.number();
      answer.version = reader.number();
      answer.detail = reader.text();
      entries.emplace_back(answer);
      return;
    }
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

BatchError wrong(std::string_view what) { return BatchError{std::string(what)}; }

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
                   put_number(entries_, kick.receipt);
                 },
                 [&](const EntryKickDone& done) {
                   put_kind(Kind::kick_done);
                   put_number(entries_, done.receipt);
                 },
                 [&](const EntryProbe& probe) {
                   put_kind(Kind::probe);
                   put_number(entries_, probe.nonce);
                 },
                 [&](const EntryRoomReceipt& receipt) {
                   put_kind(Kind::room_receipt);
                   put_number(entries_, receipt.receipt);
                   put_number(entries_, receipt.connections);
                   put_number(entries_, receipt.parts);
                 },
                 [&](const EntryRoomCommand& command) {
                   put_kind(Kind::room_command);
                   put_byte(entries_, static_cast<std::uint8_t>(command.op));
                   put_number(entries_, command.receipt);
                   put_text(entries_, command.room);
                   put_text(entries_, command.client);
                   put_number(entries_, command.stay);
                 },
                 [&](const EntryRoomAnswer& answer) {
                   put_kind(Kind::room_answer);
                   put_number(entries_, answer.receipt);
                   put_byte(entries_, answer.result);
                   put_number(entries_, answer.size);
                   put_number(entries_, answer.version);
                   put_text(entries_, answer.detail);
                 },
             },
             entry);
  ++count_;
}

std::string BatchWriter::finish(const BatchKeys& keys, std::string_view channel, std::chrono::milliseconds time) const {
  const BatchKey* const key = codec::signer(keys);
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
  if (key != nullptr) codec::put_signer(out, *key, time);
  out.append(entries_);
  if (key != nullptr) codec::put_mac(out, *key, channel);
  return out;
}

// ---------------------------------------------------------------- reader

std::optional<std::uint8_t> foreign_batch_version(std::string_view bytes) {
  if (bytes.size() < 2 || bytes.front() != magic) return std::nullopt;
  const auto spoken = static_cast<std::uint8_t>(bytes[1]);
  return spoken == version ? std::nullopt : std::optional(spoken);
}

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
    return wrong("a batch of version " + std::to_string(opening.version) + ": this server speaks version " +
                 std::to_string(version));
  }
  const bool is_signed = (opening.flags & signed_flag) != 0;
  if (is_signed && keys.keys.empty()) return wrong("the batch is signed, but this server has no --bus-key");
  if (!is_signed && !keys.keys.empty()) return wrong("the batch is not signed, but this server has a --bus-key");
  if (is_signed) {
    if (auto error = codec::verify("the batch", bytes, reader, keys, channel, now)) {
      return BatchError{std::move(*error)};
    }
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
