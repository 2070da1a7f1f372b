#include "core/routing/link.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <random>

using namespace wsr;
using namespace std::chrono_literals;

namespace {

class FakeClock final : public Clock {
public:
  Time now() const override { return time; }
  StoreTime store_now() const override { return StoreTime{1'000'000us}; }
  Time time{};
};

const ShardAddress here{ServerId::trusted("a~1"), 0};
const ShardAddress there{ServerId::trusted("b~1"), 2};

struct Pair {
  FakeClock clock;
  LinkContext context{here, {}, {}, clock};
  LinkContext context_there{there, {}, {}, clock};
  Link out{context, there};
  Link in{context_there, here};

  EntryMessage message(std::string_view data = "x") { return EntryMessage{0, 0, false, "ada", "bob", data}; }
  /// Lets the other side take a batch: every message in it is delivered.
  Link::Arrived arrive(const std::string& bytes) {
    const auto batch = std::get<Batch>(decode_batch(bytes, {}, "b~1", 0ms));
    const auto arrived = in.arrive(batch.header);
    if (arrived.arrival == Link::Arrival::fresh) {
      for (const auto& entry : batch.entries) {
        if (std::get_if<EntryMessage>(&entry) != nullptr) ++at(in.account.words, Word::delivered);
      }
    }
    return arrived;
  }
};

}  // namespace

TEST_CASE("what gathers while a batch is in flight becomes the next batch") {
  Pair link;
  link.out.add(link.message());
  const auto* first = link.out.next_to_publish();
  REQUIRE(first != nullptr);
  const auto serial = first->serial;
  link.out.add(link.message());
  link.out.add(link.message());
  CHECK(link.out.next_to_publish() == nullptr);
  CHECK(link.out.handed_over(serial) == Link::Known::yes);
  const auto* second = link.out.next_to_publish();
  REQUIRE(second != nullptr);
  CHECK(peek_batch(second->bytes)->count == 2);
}

TEST_CASE("a full batch does not wait for the one in flight") {
  Pair link;
  link.out.add(link.message());
  REQUIRE(link.out.next_to_publish() != nullptr);
  for (std::size_t i = 0; i < batch_entries_max; ++i) link.out.add(link.message());
  const auto* full = link.out.next_to_publish();
  REQUIRE(full != nullptr);
  CHECK(peek_batch(full->bytes)->count == batch_entries_max);
}

TEST_CASE("an account settles what it passes and counts as lost what it passes without a word") {
  Pair link;
  std::vector<std::string> batches;
  for (int i = 0; i < 3; ++i) {
    link.out.add(link.message());
    const auto* batch = link.out.next_to_publish();
    batches.push_back(batch->bytes);
    (void)link.out.handed_over(batch->serial);
  }
  CHECK(link.out.unsettled_messages() == 3);
  CHECK(link.arrive(batches[0]).missed == 0);
  CHECK(link.arrive(batches[2]).missed == 1);
  const auto settled = link.out.settle(link.in.account);
  CHECK(at(settled.words, Word::delivered) == 2);
  CHECK(settled.lost == 1);
  CHECK(link.out.unsettled_messages() == 0);
  const auto again = link.out.settle(link.in.account);
  CHECK(sum(again.words) == 0);
  CHECK(again.lost == 0);
}

TEST_CASE("a batch published again after a failure is taken once") {
  Pair link;
  link.out.add(link.message());
  const auto* batch = link.out.next_to_publish();
  const auto serial = batch->serial;
  CHECK(link.arrive(batch->bytes).arrival == Link::Arrival::fresh);
  CHECK(link.out.retry(serial) == Link::Known::yes);
  const auto* repeated = link.out.next_to_publish();
  REQUIRE(repeated != nullptr);
  CHECK(repeated->attempts == 2);
  CHECK(link.arrive(repeated->bytes).arrival == Link::Arrival::duplicate);
  CHECK(link.out.handed_over(repeated->serial) == Link::Known::yes);
  const auto settled = link.out.settle(link.in.account);
  CHECK(at(settled.words, Word::delivered) == 1);
  CHECK(settled.lost == 0);
}

TEST_CASE("a batch that nobody took comes back and is owed by nobody") {
  Pair link;
  const auto seq = link.out.add(link.message("payload"));
  CHECK_FALSE(link.out.is_settled(seq));
  const auto* batch = link.out.next_to_publish();
  const auto returned = link.out.take_returned(batch->serial);
  REQUIRE(returned.has_value());
  CHECK(link.out.is_settled(seq));
  CHECK(link.out.is_peer_absent);
  link.out.add(link.message());
  const auto* next = link.out.next_to_publish();
  CHECK(link.arrive(next->bytes).missed == 1);  // its numbers stay unused, but it is not counted as lost
  (void)link.out.handed_over(next->serial);
  CHECK(link.out.settle(link.in.account).lost == 0);
}

TEST_CASE("a message given back is not lost when it arrives and lost when it does not") {
  Pair link;
  for (int i = 0; i < 2; ++i) {
    link.out.add(link.message());
    const auto* batch = link.out.next_to_publish();
    const auto decoded = std::get<Batch>(decode_batch(batch->bytes, {}, "b~1", 0ms));
    (void)link.in.arrive(decoded.header);
    ++link.in.account.returned;
    (void)link.out.handed_over(batch->serial);
  }
  link.out.note_returned();  // of two given back, one came
  CHECK(link.out.settle(link.in.account).lost == 1);
}

TEST_CASE("one message that was lost on its way back does not make the next that comes back count twice") {
  Pair link;
  const auto give_back = [&] {
    link.out.add(link.message());
    const auto* batch = link.out.next_to_publish();
    const auto decoded = std::get<Batch>(decode_batch(batch->bytes, {}, "b~1", 0ms));
    (void)link.in.arrive(decoded.header);
    ++link.in.account.returned;
    (void)link.out.handed_over(batch->serial);
  };
  give_back();
  CHECK(link.out.settle(link.in.account).lost == 1);
  give_back();
  link.out.note_returned();  // no account yet: it goes another way, and is not under way here any more
  CHECK(link.out.unsettled_messages() == 0);
  CHECK(link.out.settle(link.in.account).lost == 0);
}

TEST_CASE("a link made anew begins above the old one, though the store's time was corrected backwards") {
  Pair link;
  link.out.add(link.message());
  (void)link.arrive(link.out.next_to_publish()->bytes);
  struct EarlierClock final : Clock {
    Time now() const override { return {}; }
    StoreTime store_now() const override { return StoreTime{999'000us}; }
  } earlier;
  LinkContext context{here, {}, {}, earlier, 100, link.context.bases};
  Link anew(context, there);
  anew.add(link.message());
  CHECK(link.arrive(anew.next_to_publish()->bytes).arrival == Link::Arrival::fresh);
}

TEST_CASE("a link made anew is not taken for a repetition of the old one") {
  Pair link;
  for (int i = 0; i < 5; ++i) {
    link.out.add(link.message());
    const auto* batch = link.out.next_to_publish();
    (void)link.arrive(batch->bytes);
    (void)link.out.handed_over(batch->serial);
  }
  struct LaterClock final : Clock {
    Time now() const override { return {}; }
    StoreTime store_now() const override { return StoreTime{2'000'000us}; }
  } later;
  LinkContext context{here, {}, {}, later, 100, 0};
  Link anew(context, there);
  anew.add(link.message());
  const auto arrived = link.arrive(anew.next_to_publish()->bytes);
  CHECK(arrived.arrival == Link::Arrival::fresh);
  CHECK(arrived.missed == 0);
}

TEST_CASE("whatever the bus does, each message is settled once: delivered, lost or back") {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    Pair link;
    std::uint64_t sent = 0;
    std::uint64_t back = 0;
    std::uint64_t words = 0;
    std::uint64_t lost = 0;
    std::deque<std::pair<std::uint64_t, std::string>> in_flight;
    const auto settle = [&] {
      const auto settled = link.out.settle(link.in.account);
      words += sum(settled.words);
      lost += settled.lost;
    };
    for (int step = 0; step < 200; ++step) {
      switch (random() % 6) {
        case 0:
        case 1:
          link.out.add(link.message());
          ++sent;
          break;
        case 2:
          while (const auto* batch = link.out.next_to_publish()) in_flight.emplace_back(batch->serial, batch->bytes);
          break;
        case 3:  // answered, and arrived or lost by a deaf subscriber
          if (!in_flight.empty()) {
            if (random() % 4 != 0) (void)link.arrive(in_flight.front().second);
            (void)link.out.handed_over(in_flight.front().first);
            in_flight.pop_front();
          }
          break;
        case 4:
          if (!in_flight.empty() && random() % 3 == 0) {  // the store's connection broke: some were carried out
            const std::size_t carried_out = random() % (in_flight.size() + 1);
            for (std::size_t i = 0; i < carried_out; ++i) (void)link.arrive(in_flight[i].second);
            for (auto& [serial, bytes] : in_flight) (void)link.out.retry(serial);
            in_flight.clear();
          } else if (in_flight.size() == 1) {
            if (const auto returned = link.out.take_returned(in_flight.front().first)) {
              const auto batch = std::get<Batch>(decode_batch(returned->bytes, {}, "b~1", 0ms));
              // After several attempts it may have arrived at one of them: then the peer's account decides.
              if (returned->attempts == 1) {
                for (const auto& entry : batch.entries) back += std::holds_alternative<EntryMessage>(entry) ? 1 : 0;
              }
            }
            in_flight.clear();
          }
          break;
        case 5:
          settle();
          break;
      }
    }
    // The bus heals; one last entry makes the peer see every gap.
    for (auto& [serial, bytes] : in_flight) {
      (void)link.arrive(bytes);
      (void)link.out.handed_over(serial);
    }
    link.out.add(EntryAccountWanted{});
    while (const auto* batch = link.out.next_to_publish()) {
      (void)link.arrive(batch->bytes);
      (void)link.out.handed_over(batch->serial);
    }
    settle();
    REQUIRE(sent == words + lost + back);
    REQUIRE(link.out.unsettled_messages() == 0);
  }
}
