#include "core/wire/envelope.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <random>

using namespace wsr;
using namespace std::chrono_literals;

namespace {

constexpr auto biggest = std::numeric_limits<std::uint64_t>::max();
const BatchKeys unsigned_keys;
const BatchKeys k1{{{"k1", "0123456789abcdef"}}, 30s};

EntryMessage message(std::string_view data) {
  return {.receipt = 7, .hops = 1, .is_copy = true, .from = "ada", .to = "bob", .data = data};
}

/// One of every kind.
BatchWriter everything() {
  BatchWriter writer("a~1", 2, 3, 100, 105);
  writer.add(message("\"hi\""));
  writer.add(EntryReturned{message("{ \"n\" : 1 }"), 9});
  writer.add(EntryReceipt{biggest, word_count - 1});
  writer.add(EntryAccountWanted{});
  EntryAccount account{.through = 104, .returned = 2, .words = {}, .base = 77};
  for (std::size_t i = 0; i < word_count; ++i) account.words[i] = i * 1'000'000;
  writer.add(account);
  writer.add(EntryKick{0x1000000, 4009, "a newer connection took over"});
  writer.add(EntryProbe{42});
  writer.add(EntryRoomReceipt{biggest, 7, 2});
  writer.add(EntryRoomCommand{EntryRoomCommand::Op::leave, 8, "chat:room:42", "bob", biggest});
  writer.add(EntryRoomAnswer{8, 3, 5, biggest, "the table is full"});
  return writer;
}

std::string why(std::string_view bytes, const BatchKeys& keys = {}, std::string_view channel = "b~1",
                std::chrono::milliseconds now = 1000ms) {
  const auto decoded = decode_batch(bytes, keys, channel, now);
  const auto* error = std::get_if<BatchError>(&decoded);
  return error == nullptr ? "" : error->message;
}
bool is_taken(std::string_view bytes, const BatchKeys& keys = {}, std::string_view channel = "b~1",
              std::chrono::milliseconds now = 1000ms) {
  return std::holds_alternative<Batch>(decode_batch(bytes, keys, channel, now));
}
bool mentions(const std::string& sentence, std::string_view words) { return sentence.find(words) != std::string::npos; }

void check_message(const EntryMessage& entry, std::string_view data) {
  CHECK(entry.receipt == 7);
  CHECK(entry.hops == 1);
  CHECK(entry.is_copy);
  CHECK(entry.from == "ada");
  CHECK(entry.to == "bob");
  CHECK(entry.data == data);
}

void check_everything(const Batch& batch) {
  CHECK(batch.header.from_server == "a~1");
  CHECK(batch.header.from_shard == 2);
  CHECK(batch.header.to_shard == 3);
  CHECK(batch.header.base == 100);
  CHECK(batch.header.first_seq == 105);
  CHECK(batch.header.count == 10);
  REQUIRE(batch.entries.size() == 10);
  check_message(std::get<EntryMessage>(batch.entries[0]), "\"hi\"");
  check_message(std::get<EntryReturned>(batch.entries[1]).message, "{ \"n\" : 1 }");
  CHECK(std::get<EntryReturned>(batch.entries[1]).base == 9);
  CHECK(std::get<EntryReceipt>(batch.entries[2]).receipt == biggest);
  CHECK(std::get<EntryReceipt>(batch.entries[2]).word == word_count - 1);
  CHECK(std::holds_alternative<EntryAccountWanted>(batch.entries[3]));
  const auto& account = std::get<EntryAccount>(batch.entries[4]);
  CHECK(account.through == 104);
  CHECK(account.returned == 2);
  CHECK(account.base == 77);
  for (std::size_t i = 0; i < word_count; ++i) CHECK(account.words[i] == i * 1'000'000);
  const auto& kick = std::get<EntryKick>(batch.entries[5]);
  CHECK(kick.conn == 0x1000000);
  CHECK(kick.code == 4009);
  CHECK(kick.reason == "a newer connection took over");
  CHECK(std::get<EntryProbe>(batch.entries[6]).nonce == 42);
  const auto& receipt = std::get<EntryRoomReceipt>(batch.entries[7]);
  CHECK(receipt.receipt == biggest);
  CHECK(receipt.connections == 7);
  CHECK(receipt.parts == 2);
  const auto& command = std::get<EntryRoomCommand>(batch.entries[8]);
  CHECK(command.op == EntryRoomCommand::Op::leave);
  CHECK(command.receipt == 8);
  CHECK(command.room == "chat:room:42");
  CHECK(command.client == "bob");
  CHECK(command.stay == biggest);
  const auto& answer = std::get<EntryRoomAnswer>(batch.entries[9]);
  CHECK(answer.result == 3);
  CHECK(answer.size == 5);
  CHECK(answer.version == biggest);
  CHECK(answer.detail == "the table is full");
}

/// A batch by hand: the opening of an unsigned one from "a", then `tail`.
std::string by_hand(std::string_view tail) {
  return std::string(
             "W\x02\x00\x01"
             "a",
             5)
      .append(tail);
}
using namespace std::string_literals;

}  // namespace

TEST_CASE("a batch of every kind of entry comes out as it went in, unsigned and signed") {
  for (const auto& keys : {unsigned_keys, k1}) {
    const auto bytes = everything().finish(keys, "b~1", 1000ms);
    const auto decoded = decode_batch(bytes, keys, "b~1", 1000ms);
    REQUIRE(std::holds_alternative<Batch>(decoded));
    check_everything(std::get<Batch>(decoded));
  }
}

TEST_CASE("who has a copy travels with the message, there and back, and costs nothing without") {
  EntryMessage plain = message("1"), copied = message("1");
  copied.copies = "b~1/0 c~1/3 ";
  BatchWriter writer("a~1", 2, 3, 100, 105), other("a~1", 2, 3, 100, 105);
  writer.add(copied);
  writer.add(EntryReturned{copied, 9});
  other.add(plain);
  other.add(EntryReturned{plain, 9});
  const auto bytes = writer.finish({}, "b~1", 0ms), fewer = other.finish({}, "b~1", 0ms);
  const auto decoded = decode_batch(bytes, {}, "b~1", 0ms);
  const auto& batch = std::get<Batch>(decoded);
  CHECK(std::get<EntryMessage>(batch.entries[0]).copies == copied.copies);
  CHECK(std::get<EntryReturned>(batch.entries[1]).message.copies == copied.copies);
  CHECK(std::get<EntryReturned>(batch.entries[1]).base == 9);
  CHECK(bytes.size() == fewer.size() + 2 * (copied.copies.size() + 1));
}

TEST_CASE("a deadline and a kick's receipt travel, and cost nothing without") {
  EntryMessage timed = message("1");
  timed.deadline = 1'785'000'000'123;
  BatchWriter writer("a~1", 2, 3, 100, 105), other("a~1", 2, 3, 100, 105);
  writer.add(timed);
  writer.add(EntryReturned{timed, 9});
  writer.add(EntryKick{7, 4009, "gone", biggest});
  writer.add(EntryKickDone{biggest});
  other.add(message("1"));
  const auto bytes = writer.finish({}, "b~1", 0ms);
  const auto decoded = decode_batch(bytes, {}, "b~1", 0ms);
  const auto& batch = std::get<Batch>(decoded);
  CHECK(std::get<EntryMessage>(batch.entries[0]).deadline == timed.deadline);
  CHECK(std::get<EntryReturned>(batch.entries[1]).message.deadline == timed.deadline);
  CHECK(std::get<EntryKick>(batch.entries[2]).receipt == biggest);
  CHECK(std::get<EntryKickDone>(batch.entries[3]).receipt == biggest);
  const auto plain = other.finish({}, "b~1", 0ms);
  CHECK(std::get<EntryMessage>(std::get<Batch>(decode_batch(plain, {}, "b~1", 0ms)).entries[0]).deadline == 0);
}

TEST_CASE("a batch of another version is known by it, and nothing else is") {
  auto bytes = everything().finish({}, "b~1", 0ms);
  CHECK_FALSE(foreign_batch_version(bytes));
  bytes[1] = 9;
  CHECK(foreign_batch_version(bytes) == 9);
  CHECK_FALSE(foreign_batch_version(""));
  CHECK_FALSE(foreign_batch_version("W"));
  CHECK_FALSE(foreign_batch_version("R\x09"));
}

TEST_CASE("an empty batch is a batch") {
  const auto bytes = BatchWriter("a~1", 0, 0, 1, 1).finish({}, "b~1", 0ms);
  CHECK(is_taken(bytes));
  CHECK(peek_batch(bytes)->count == 0);
}

TEST_CASE("the largest numbers and empty texts survive") {
  BatchWriter writer("", 0xFFFF, 0xFFFF, biggest, biggest);
  EntryAccount account{biggest, biggest, {}, biggest};
  account.words.fill(biggest);
  writer.add(account);
  writer.add(EntryMessage{biggest, 255, false, "", "", ""});
  writer.add(EntryKick{biggest, 0xFFFF, ""});
  const auto bytes = writer.finish({}, "", 0ms);
  const auto decoded = decode_batch(bytes, {}, "", 0ms);
  const auto& batch = std::get<Batch>(decoded);
  CHECK(batch.header.to_shard == 0xFFFF);
  CHECK(batch.header.base == biggest);
  CHECK(std::get<EntryAccount>(batch.entries[0]).words.back() == biggest);
  CHECK(std::get<EntryAccount>(batch.entries[0]).base == biggest);
  CHECK(std::get<EntryMessage>(batch.entries[1]).receipt == biggest);
  CHECK(std::get<EntryMessage>(batch.entries[1]).hops == 255);
  CHECK(std::get<EntryKick>(batch.entries[2]).code == 0xFFFF);
}

TEST_CASE("data travels byte for byte, and is not copied by the reader") {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  all += all + std::string(70'000, '\0');
  BatchWriter writer("a~1", 0, 0, 1, 1);
  writer.add(message(all));
  const auto bytes = writer.finish({}, "b~1", 0ms);
  const auto decoded = decode_batch(bytes, {}, "b~1", 0ms);
  const auto data = std::get<EntryMessage>(std::get<Batch>(decoded).entries[0]).data;
  CHECK(data == all);
  CHECK(data.data() >= bytes.data());
  CHECK(data.data() + data.size() <= bytes.data() + bytes.size());
}

TEST_CASE("a writer knows how full it is") {
  BatchWriter writer("a~1", 0, 0, 1, 1);
  for (std::size_t i = 0; i < batch_entries_max; ++i) {
    CHECK_FALSE(writer.is_full());
    writer.add(EntryAccountWanted{});
  }
  CHECK(writer.is_full());
  CHECK(writer.count() == batch_entries_max);
  BatchWriter heavy("a~1", 0, 0, 1, 1);
  heavy.add(message(std::string(batch_bytes_max, 'x')));
  CHECK(heavy.is_full());
  CHECK(heavy.bytes() > batch_bytes_max);
}

TEST_CASE("the header alone can be read, signed or not, whatever the keys") {
  for (const auto& keys : {unsigned_keys, k1}) {
    const auto header = peek_batch(everything().finish(keys, "b~1", 1000ms));
    REQUIRE(header);
    CHECK(header->to_shard == 3);
    CHECK(header->count == 10);
  }
  CHECK_FALSE(peek_batch(""));
  CHECK_FALSE(peek_batch("garbage"));
}

// ---------------------------------------------------------------- what is refused

TEST_CASE("a batch cut short at any byte is refused") {
  for (const auto& keys : {unsigned_keys, k1}) {
    const auto bytes = everything().finish(keys, "b~1", 1000ms);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      // A copy of exactly this size: a read behind its end is seen by the sanitizers.
      const std::string cut(bytes.data(), size);
      CHECK_FALSE(is_taken(cut, keys));
      (void)peek_batch(cut);
    }
  }
}

TEST_CASE("bytes behind the last entry are refused") {
  CHECK(mentions(why(everything().finish({}, "b~1", 0ms) + "x"), "behind its last entry"));
}

TEST_CASE("another version is refused by name") {
  auto bytes = everything().finish({}, "b~1", 0ms);
  bytes[1] = batch_version + 1;
  CHECK(mentions(why(bytes), "version 3"));
  CHECK_FALSE(peek_batch(bytes));
}

TEST_CASE("unknown flags, another magic and a first number below the base are refused") {
  auto bytes = everything().finish({}, "b~1", 0ms);
  bytes[2] = 2;
  CHECK_FALSE(is_taken(bytes));
  bytes[2] = 0;
  bytes[0] = 'w';
  CHECK_FALSE(is_taken(bytes));
  CHECK(is_taken(by_hand("\0\0\x05\x05\0"s)));
  CHECK_FALSE(is_taken(by_hand("\0\0\x05\x04\0"s)));
}

TEST_CASE("numbers that overflow or are spelled too long are refused") {
  const auto with_base = [](const std::string& number) { return by_hand("\0\0"s + number + number + "\0"s); };
  CHECK(is_taken(with_base("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01")));        // 2^64 - 1
  CHECK_FALSE(is_taken(with_base("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02")));  // 65 bits
  CHECK_FALSE(is_taken(with_base("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01")));
  CHECK_FALSE(is_taken(with_base("\x81\x00"s)));                                // 1 in two bytes
  CHECK_FALSE(is_taken(by_hand("\x80\x80\x04\0\0\0\0"s)));                      // shard 65536
  CHECK_FALSE(is_taken(by_hand("\0\0\0\0\x80\x80\x80\x80\x10"s)));              // count 2^32
  CHECK_FALSE(is_taken("W\x02\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s));  // a text of 2^64 - 1 bytes
}

TEST_CASE("entries are counted against the bytes that are there before memory is taken for them") {
  CHECK(mentions(why(by_hand("\0\0\0\0\x02\x04"s)), "more entries than fit"));
  CHECK(mentions(why(by_hand("\0\0\0\0\xFF\xFF\xFF\xFF\x0F"s)), "more entries than fit"));
  const std::string most(batch_entries_limit, '\x04');
  CHECK(is_taken(by_hand("\0\0\0\0\x80\x20"s + most)));
  CHECK(mentions(why(by_hand("\0\0\0\0\x81\x20"s + most + "\x04")), "more entries than fit"));
}

TEST_CASE("an unknown kind of entry and a word beyond the last are refused") {
  CHECK_FALSE(is_taken(by_hand("\0\0\0\0\x01\x00"s)));
  CHECK_FALSE(is_taken(by_hand("\0\0\0\0\x01\x08"s)));
  CHECK(is_taken(by_hand("\0\0\0\0\x01\x03\x01\x0B"s)));
  CHECK_FALSE(is_taken(by_hand("\0\0\0\0\x01\x03\x01\x0C"s)));
}

TEST_CASE("a batch above the size limit is refused unread") {
  CHECK(mentions(why(std::string(batch_bytes_limit + 1, 'W')), "above the limit"));
}

TEST_CASE("random bytes, and random changes to a batch, are refused or read, never more") {
  std::mt19937 random(2104);
  const auto good = everything().finish({}, "b~1", 0ms);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (int change = 0; change < 3; ++change) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto decoded = decode_batch(bytes, {}, "b~1", 0ms);
    if (const auto* batch = std::get_if<Batch>(&decoded)) CHECK(batch->entries.size() == batch->header.count);
  }
}

// ---------------------------------------------------------------- signatures

TEST_CASE("a change of any bit of a signed batch is noticed") {
  const auto good = everything().finish(k1, "b~1", 1000ms);
  REQUIRE(is_taken(good, k1));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      if (is_taken(bytes, k1)) FAIL("byte " << i << ", bit " << bit);
    }
  }
  SUCCEED();
}

TEST_CASE("a signed batch cannot be moved to another inbox, nor bytes between channel and batch") {
  const auto bytes = everything().finish(k1, "b~1", 1000ms);
  CHECK(mentions(why(bytes, k1, "c~1"), "signature is wrong"));
  CHECK(mentions(why(bytes, k1, "b~1W"), "signature is wrong"));
  CHECK(mentions(why(bytes, k1, ""), "signature is wrong"));
}

TEST_CASE("the MAC is HMAC-SHA256 over the channel with its length, and the batch before it") {
  // Computed with Python: hmac.new(b"0123456789abcdef", b"\x03b~1" + batch, hashlib.sha256)
  const auto bytes = BatchWriter("a~1", 0, 0, 1, 1).finish(k1, "b~1", 1000ms);
  const std::string covered =
      "W\x02\x01\x03"
      "a~1\0\0\x01\x01\0\x02k1\xE8\x07"s;
  REQUIRE(bytes.size() == covered.size() + 32);
  CHECK(bytes.substr(0, covered.size()) == covered);
  std::string hex;
  for (const char c : bytes.substr(covered.size())) {
    constexpr char digits[] = "0123456789abcdef";
    hex += digits[(c >> 4) & 0xF];
    hex += digits[c & 0xF];
  }
  CHECK(hex == "c2115a9b92d6c5e750ebccca9bf07b574ce881a3b10d78bc8478a091d1b4a084");
}

TEST_CASE("a batch passes within the allowed skew of time, in both directions, and not beyond") {
  const auto bytes = everything().finish(k1, "b~1", 100'000ms);
  CHECK(is_taken(bytes, k1, "b~1", 130'000ms));
  CHECK(mentions(why(bytes, k1, "b~1", 130'001ms), "30001 ms off"));
  CHECK(is_taken(bytes, k1, "b~1", 70'000ms));
  CHECK_FALSE(is_taken(bytes, k1, "b~1", 69'999ms));
  CHECK_FALSE(is_taken(bytes, k1, "b~1", std::chrono::milliseconds::max()));
  CHECK_FALSE(is_taken(bytes, k1, "b~1", std::chrono::milliseconds::min()));
}

TEST_CASE("with keys an unsigned batch is refused, without keys a signed one") {
  CHECK(mentions(why(everything().finish({}, "b~1", 1000ms), k1), "is not signed"));
  CHECK(mentions(why(everything().finish(k1, "b~1", 1000ms)), "is signed"));
}

TEST_CASE("keys rotate: the first signs, all verify, and an unknown one is refused") {
  const BatchKey old_key{"old", "old secret, 16 bytes or more"};
  const BatchKey new_key{"new", "new secret, 16 bytes or more"};
  const BatchKeys before{{old_key}, 30s}, during{{new_key, old_key}, 30s}, after{{new_key}, 30s};
  const auto by_old = everything().finish(before, "b~1", 1000ms);
  const auto by_new = everything().finish(during, "b~1", 1000ms);
  CHECK(is_taken(by_old, during));
  CHECK(is_taken(by_new, during));
  CHECK(is_taken(by_new, after));
  CHECK(mentions(why(by_old, after), "id is unknown"));
  CHECK(mentions(why(by_new, before), "id is unknown"));
}

TEST_CASE("another secret under the same id is refused") {
  const BatchKeys other{{{"k1", "fedcba9876543210"}}, 30s};
  CHECK(mentions(why(everything().finish(other, "b~1", 1000ms), k1), "signature is wrong"));
}
