// Batches from anyone, and the way there and back: what is decoded and encoded again has the same bytes (every
// batch has one spelling), and arbitrary entries come out as they went in, signed and unsigned.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "core/wire/envelope.hpp"
#include "tests/fuzz/require.hpp"

using namespace wsr;

namespace {

const BatchKeys keys{{{"k1", "0123456789abcdef"}}, std::chrono::milliseconds{1000}};
const std::string channel = "b~1";

std::string encode(const Batch& batch, const BatchKeys& with, std::chrono::milliseconds time) {
  const auto& header = batch.header;
  BatchWriter writer(header.from_server, header.from_shard, header.to_shard, header.base, header.first_seq);
  for (const auto& entry : batch.entries) writer.add(entry);
  return writer.finish(with, channel, time);
}

void check_arbitrary(const std::string& bytes) {
  const auto header = peek_batch(bytes);
  const auto decoded = decode_batch(bytes, {}, channel, {});
  WSR_REQUIRE(std::holds_alternative<BatchError>(decode_batch(bytes, keys, channel, {})));  // nobody guesses a MAC
  const auto* batch = std::get_if<Batch>(&decoded);
  if (batch == nullptr) {
    WSR_REQUIRE(!std::get<BatchError>(decoded).message.empty());
    return;
  }
  WSR_REQUIRE(header && header->count == batch->entries.size() && header->from_server == batch->header.from_server);
  WSR_REQUIRE(encode(*batch, {}, {}) == bytes);
}

class Maker {
public:
  explicit Maker(FuzzedDataProvider& data) : data_(data) {}

  Batch batch() {
    Batch made;
    made.header.from_server = text();
    made.header.from_shard = data_.ConsumeIntegral<std::uint16_t>();
    made.header.to_shard = data_.ConsumeIntegral<std::uint16_t>();
    made.header.base = number();
    made.header.first_seq = made.header.base + std::min(number(), ~made.header.base);
    const auto count = data_.ConsumeIntegralInRange<std::size_t>(0, 70);
    for (std::size_t i = 0; i < count; ++i) made.entries.push_back(entry());
    return made;
  }

private:
  std::uint64_t number() { return data_.ConsumeIntegral<std::uint64_t>() >> data_.ConsumeIntegralInRange(0, 63); }
  std::string_view text() { return texts_.emplace_back(data_.ConsumeRandomLengthString(300)); }
  EntryMessage message() {
    EntryMessage made{number(), data_.ConsumeIntegral<std::uint8_t>(), data_.ConsumeBool(), text(), text(), text()};
    made.is_fresh = data_.ConsumeBool();
    made.copies = text();
    made.deadline = number();
    return made;
  }
  Entry entry() {
    switch (data_.ConsumeIntegralInRange(0, 10)) {
      case 0:
        return message();
      case 1:
        return EntryReturned{message(), number()};
      case 2:
        return EntryReceipt{number(), data_.ConsumeIntegralInRange<std::uint8_t>(0, word_count - 1)};
      case 3:
        return EntryAccountWanted{};
      case 4: {
        EntryAccount account{number(), number(), {}, number()};
        for (auto& word : account.words) word = number();
        return account;
      }
      case 5:
        return EntryKick{number(), data_.ConsumeIntegral<std::uint16_t>(), text(), number()};
      case 6:
        return EntryRoomReceipt{number(), number(), data_.ConsumeIntegral<std::uint32_t>()};
      case 7:
        return EntryRoomCommand{data_.ConsumeBool() ? EntryRoomCommand::Op::join : EntryRoomCommand::Op::leave,
                                number(), text(), text(), number()};
      case 8:
        return EntryRoomAnswer{number(), data_.ConsumeIntegral<std::uint8_t>(), number(), number(), text()};
      case 9:
        return EntryKickDone{number()};
      default:
        return EntryProbe{number()};
    }
  }

  FuzzedDataProvider& data_;
  std::deque<std::string> texts_;  // what the entries' views look at; a deque never moves them
};

void check_round_trip(FuzzedDataProvider& data) {
  Maker maker(data);
  const auto batch = maker.batch();
  const std::chrono::milliseconds time{data.ConsumeIntegralInRange<std::int64_t>(0, 1'000'000)};
  for (const auto& with : {BatchKeys{}, keys}) {
    auto bytes = encode(batch, with, time);
    const auto decoded = decode_batch(bytes, with, channel, time);
    const auto* back = std::get_if<Batch>(&decoded);
    WSR_REQUIRE(back != nullptr);
    WSR_REQUIRE(back->header.first_seq == batch.header.first_seq && back->entries.size() == batch.entries.size());
    for (std::size_t i = 0; i < batch.entries.size(); ++i) {
      WSR_REQUIRE(back->entries[i].index() == batch.entries[i].index());
    }
    // Same bytes from what was read: no field was lost or changed on the way.
    WSR_REQUIRE(encode(*back, with, time) == bytes);
    if (with.keys.empty()) continue;
    const auto at = data.ConsumeIntegralInRange<std::size_t>(0, bytes.size() - 1);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << data.ConsumeIntegralInRange(0, 7)));
    WSR_REQUIRE(std::holds_alternative<BatchError>(decode_batch(bytes, with, channel, time)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A batch begins with 'W': everything else is a recipe to make one.
  if (size != 0 && data[0] == 'W') {
    check_arbitrary(std::string(reinterpret_cast<const char*>(data), size));
  } else {
    FuzzedDataProvider provider(data, size);
    check_round_trip(provider);
  }
  return 0;
}
